"""A linear text model over hashed character n-grams and word pairs, read without numpy.

A token scores the sum of the weights of its n-grams (3 to 5 characters, inside the word and its edges) and of the word
itself; two neighbours score the weight of their pair. A stretch of text scores the sum of its tokens and pairs over
the square root of its length, plus a bias. The strongest stretch counts, so that a short attack inside a long
innocent document is seen, and where it stands is known.

The weights are one file: a line of JSON (name, buckets, scale, bias …), then one signed byte per bucket. There is
nothing in it to execute. How they were made: ``training/train.py`` and the data card ``weights/README.md``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from itertools import accumulate, pairwise
from zlib import crc32

#: Links, internal hosts, opaque strings, words and the punctuation that carries meaning in prompts and markup.
_TOKEN = re.compile(
    r"https?://[^\s<>()\[\]\"']{1,512}"
    r"|[a-z0-9][a-z0-9-]{0,62}(?:\.[a-z0-9-]{1,63}){0,4}\.(?:internal|lan|corp|local|intranet|prod|svc)\b"
    r"|\b(?:10(?:\.\d{1,3}){3}|192\.168(?:\.\d{1,3}){2}|172\.(?:1[6-9]|2\d|3[01])(?:\.\d{1,3}){2})\b"
    r"|[a-z0-9+/=_-]{40,}|[a-z0-9]+(?:'[a-z]+)?"
    r"|!\[|\]\(|<\|?/?|\|?>|[\[\]{}]|#{2,}|-{3,}|={3,}|\*{2,}|`{3,}"
)
_DIGITS = re.compile(r"\d+")

#: Tokens in the stretches that are scored beside the whole text; a stretch begins every half of its length.
STRETCHES = (8, 16, 32, 64)
#: Longest cache of token scores; emptied when full.
_CACHE_SIZE = 50_000
#: Weight of a pair beside that of an n-gram.
PAIR_WEIGHT = 2


def tokens_of(text: str) -> list[str]:
    """Return the tokens of a folded text in lower case; numbers, links, hashes and internal hosts by their kind."""
    return [token if token.isalpha() and len(token) < 25 else _kind(token) for token in _TOKEN.findall(text)]


def token_span(text: str, first: int, last: int) -> tuple[int, int]:
    """Return the characters that the tokens ``[first, last)`` of a folded lower-case text cover."""
    start = end = 0
    for index, match in enumerate(_TOKEN.finditer(text)):
        if index == first:
            start = match.start()
        if index == last - 1:
            end = match.end()
            break
    return start, max(start, end)


def _kind(token: str) -> str:
    if token.isdigit():
        return "<year>" if len(token) == 4 and token[:2] in ("19", "20") else "<n>"
    if "." in token:
        return "<url>" if token.startswith("http") and "://" in token else "internalhost"
    if not token[0].isalnum() or "'" in token:
        return token if len(token) < 25 else "<id>"
    if len(token) > 24 or (len(token) > 6 and sum(map(str.isdigit, token)) > 1):
        return "<id>"
    return _DIGITS.sub("0", token)


def token_buckets(token: str, buckets: int) -> list[int]:
    """Return the buckets of a token's own features: the word and its character n-grams."""
    found = [crc32(b"w:" + token.encode()) % buckets]
    if token.isalpha():
        padded = f" {token} ".encode()
        for size in (3, 4, 5):
            found += [crc32(padded[i : i + size]) % buckets for i in range(len(padded) - size + 1)]
    return found


def pair_bucket(first: str, second: str, buckets: int) -> int:
    """Return the bucket of two neighbouring tokens."""
    return crc32(f"{first} {second}".encode()) % buckets


def stretches(length: int) -> Iterator[tuple[int, int]]:
    """Yield the stretches ``[first, last)`` of a text of ``length`` tokens, the whole first."""
    yield 0, length
    for size in STRETCHES:
        if length > size:
            for first in range(0, length - size // 2, size // 2):
                yield first, min(length, first + size)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of tokens ``[first, last)`` and its score in log-odds."""

    score: float
    first: int
    last: int


class LinearModel:
    """Weights of one question, such as "is this an attack?"."""

    def __init__(self, raw: bytes) -> None:
        """Read a weights file (see the module's text).

        Raises:
            ValueError: the file is cut or not of this form.
        """
        head, separator, body = raw.partition(b"\n")
        facts = json.loads(head)
        if not separator or len(body) != facts["buckets"]:
            raise ValueError(f"weights {facts.get('name')!r} hold {len(body)} bytes, not {facts.get('buckets')}")
        self.name: str = facts["name"]
        #: Log-odds beyond which the answer is yes.
        self.digest = sha256(raw).hexdigest()
        self.threshold: float = facts["threshold"]
        self._bias: float = facts["bias"]
        self._buckets: int = facts["buckets"]
        scale: float = facts["scale"]
        self._weights = [scale * (byte - 256 if byte > 127 else byte) for byte in body]
        self._cache: dict[str, float] = {}

    def _own(self, token: str) -> float:
        score = self._cache.get(token)
        if score is None:
            if len(self._cache) >= _CACHE_SIZE:
                self._cache.clear()
            weights = self._weights
            score = self._cache[token] = sum([weights[bucket] for bucket in token_buckets(token, self._buckets)])
        return score

    def _sums(self, tokens: list[str]) -> tuple[list[float], list[float]]:
        """Return the running sums of token and pair scores, and the pair that ends at each token."""
        weights, buckets = self._weights, self._buckets
        text = [token.encode() for token in tokens]
        pairs = [0.0]
        pairs += [PAIR_WEIGHT * weights[crc32(b"%b %b" % pair) % buckets] for pair in pairwise(text)]
        own = map(self._own, tokens)
        return list(accumulate(map(float.__add__, own, pairs), initial=0.0)), pairs

    def whole(self, tokens: list[str]) -> float:
        """Return the score of a text as a whole; the bias for an empty one."""
        if not tokens:
            return self._bias
        return self._sums(tokens)[0][-1] / math.sqrt(len(tokens)) + self._bias

    def strongest(self, tokens: list[str]) -> Stretch:
        """Return the strongest stretch, the whole text among them. Linear in the number of tokens."""
        if not tokens:
            return Stretch(self._bias, 0, 0)
        sums, pairs = self._sums(tokens)
        best = Stretch(float("-inf"), 0, 0)
        for first, last in stretches(len(tokens)):
            score = (sums[last] - sums[first] - pairs[first]) / math.sqrt(last - first)
            if score > best.score:
                best = Stretch(score, first, last)
        return Stretch(best.score + self._bias, best.first, best.last)


@cache
def load(name: str) -> LinearModel:
    """Return the packaged model of that name: ``threats`` or ``internal``."""
    return LinearModel((files("metaqore.security") / "weights" / f"{name}.bin").read_bytes())
