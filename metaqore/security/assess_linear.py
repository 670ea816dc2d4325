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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from itertools import accumulate, pairwise
from operator import add, attrgetter, sub
from struct import unpack
from typing import NamedTuple
from zlib import crc32

from metaqore.security.detect_patterns import Patterns

_LINK = re.compile(r"https?://[^\s<>()\[\]\"']{1,512}")
_SHORTEST_OPAQUE = 40
_KINDS = Patterns(
    {
        "host": r"\b[a-z0-9][a-z0-9-]{0,62}(?:\.[a-z0-9-]{1,63}){0,4}\.(?:internal|lan|corp|local|intranet|prod|svc)\b"
        r"|\b(?:10(?:\.\d{1,3}){3}|192\.168(?:\.\d{1,3}){2}|172\.(?:1[6-9]|2\d|3[01])(?:\.\d{1,3}){2})\b",
        "opaque": rf"[a-z0-9+/=_-]{{{_SHORTEST_OPAQUE},}}",
    }
)
#: Stand for a link, an internal host and an opaque string.
_MARKS = {"\x01": "<url>", "\x02": "internalhost", "\x03": "<id>"}
#: Words, the marks, and the punctuation that carries meaning in prompts and markup.
_SIGNS = "\x01\x02\x03[]{}<>|#*`"
_TOKEN = re.compile(rf"[a-z0-9']+|[{re.escape(_SIGNS)}]+")
#: So many tokens, to be passed over at once.
_RUNS = {size: re.compile(rf"(?:[^a-z0-9'{re.escape(_SIGNS)}]*(?:{_TOKEN.pattern})){{{size}}}") for size in (64, 8, 1)}
#: Stands between words and signs; no folded text has it.
_EDGE = "\0"
_BLANKED = bytes(byte if _TOKEN.match(chr(byte)) else ord(" ") for byte in range(256))
_DIGITS = re.compile(r"\d+")

#: Buckets of every model: with one number, two models share the work.
BUCKETS = 1 << 16
_MASK = BUCKETS - 1
#: Tokens in the stretches that are scored; one begins every half of its length. A text no longer than the longest is
#: scored as a whole too; a longer one is not, for the root of its length would lift what each word hints at.
STRETCHES = (8, 16, 32, 64, 256)
_STEP = STRETCHES[0] // 2
#: Weight of a pair beside that of an n-gram.
PAIR_WEIGHT = 2
#: Longest cache of token scores; emptied when full.
_CACHE_SIZE = 50_000
#: Characters of the n-grams.
_SIZES = (3, 4, 5)
_CHUNK = 8192
_OVERLAP = 1024


class Chunk(NamedTuple):
    """A piece of a text, small enough to be scored at once."""

    offset: int
    #: With marks for links, hosts and opaque strings, padded so that nothing moves.
    text: str
    #: As they stand in the text; their kinds are worked out with their scores.
    tokens: list[str]
    #: The bucket of each token with the one before it; the first has none.
    pairs: list[int]


def chunks_of(text: str, pieces: Sequence[tuple[int, int]]) -> list[Chunk]:
    """Return the pieces of a folded lower-case text, long ones in overlapping chunks, equal ones once."""
    seen: set[str] = set()
    found = []
    for start, end in pieces:
        for offset in range(start, max(start + 1, end - _OVERLAP), _CHUNK - _OVERLAP):
            chunk = text[offset : min(end, offset + _CHUNK)]
            if chunk not in seen:
                seen.add(chunk)
                marked = _marked(chunk)
                tokens = _split(marked)
                hashes = list(map(_HASHES.__getitem__, tokens))
                pairs = [(31 * a + b) & _MASK for a, b in pairwise(hashes)]
                found.append(Chunk(offset, marked, tokens, pairs))
    return found


def _split(text: str) -> list[str]:
    """Return all matches of ``_TOKEN``, in a third of the time: most texts have few of the signs."""
    for sign in _SIGNS:
        if sign in text:
            text = text.replace(sign, f"{_EDGE}{sign}{_EDGE}")
    return text.replace(_EDGE + _EDGE, "").encode("ascii").translate(_BLANKED).decode("ascii").split()


def tokens_of(chunk: Chunk) -> list[str]:
    """Return the tokens of a chunk; numbers, links, hashes and internal hosts by their kind."""
    return [_kind(token) for token in chunk.tokens]


def token_span(chunk: Chunk, first: int, last: int) -> tuple[int, int]:
    """Return the characters that the tokens ``[first, last)`` of a chunk cover."""
    before = _after(chunk.text, 0, first)
    start = _TOKEN.search(chunk.text, before)
    return (start.start(), _after(chunk.text, before, last - first)) if start and first < last else (0, 0)


def _after(text: str, end: int, count: int) -> int:
    """Return where so many tokens after ``end`` end."""
    for size, run in _RUNS.items():
        while count >= size and (found := run.match(text, end)):
            end, count = found.end(), count - size
    return end


def _marked(text: str) -> str:
    """Put marks for links, hosts and opaque strings, padded so that nothing moves."""
    if "://" in text:
        text = _LINK.sub(lambda m: "\x01".ljust(len(m[0])), text)
    # Most strings of a JSON value are short words: they can hold neither.
    kinds = [("host", "\x02")] if "." in text else []
    if len(text) >= _SHORTEST_OPAQUE:
        kinds.append(("opaque", "\x03"))
    for name, mark in kinds:
        parts, read_to = [], 0
        for match in _KINDS.find(name, text.encode("ascii")):
            if mark == "\x02" or any(map(str.isalnum, match.text)):
                parts += [text[read_to : match.start], mark.ljust(match.end - match.start)]
                read_to = match.end
        text = "".join(parts) + text[read_to:] if parts else text
    return text


def _kind(token: str) -> str:
    if token.isalpha() and len(token) < 25:
        return token
    if token.isdigit():
        return "<year>" if len(token) == 4 and token[:2] in ("19", "20") else "<n>"
    if token[0] in _MARKS:
        return _MARKS[token[0]]
    word = token.strip("'")
    if not word or not word[0].isalnum():
        return token[:3]
    if len(word) > 24 or (len(word) > 6 and sum(map(str.isdigit, word)) > 1):
        return "<id>"
    return _DIGITS.sub("0", word)


def token_hash(token: str) -> int:
    """Return the hash of a word, from which those of its pairs are made."""
    return crc32(b"w:" + token.encode())


def token_buckets(token: str) -> tuple[int, ...]:
    """Return the buckets of a token's own features: the word and its character n-grams."""
    found = [token_hash(token) % BUCKETS]
    if token.isalpha():
        padded = f" {token} ".encode()
        for size in _SIZES:
            found += [crc32(padded[i : i + size]) % BUCKETS for i in range(len(padded) - size + 1)]
    return tuple(found)


def _gram_tables(octets: int) -> tuple[bytes, bytes]:
    """Return what a byte with so many after it adds to a CRC-32, of each its lowest byte and the one above."""
    added = [crc32(bytes([byte]) + bytes(octets)) ^ crc32(bytes(octets + 1)) for byte in range(256)]
    return bytes(crc & 255 for crc in added), bytes(crc >> 8 & 255 for crc in added)


_GRAM_TABLES = [_gram_tables(octets) for octets in range(max(_SIZES))]


def gram_buckets(data: bytes, size: int) -> tuple[int, ...]:
    """Return the buckets of all n-grams of ``size`` in some bytes, no fewer than that.

    A CRC is the sum (exclusive or) of what each byte adds at its place, so all are worked out at once, in long
    integers.
    """
    count = len(data) - size + 1
    woven = bytearray(2 * count)
    for half in (0, 1):
        total = int.from_bytes(bytes([crc32(bytes(size)) >> 8 * half & 255]) * count, "little")
        for place in range(size):
            table = _GRAM_TABLES[size - 1 - place][half]
            total ^= int.from_bytes(data[place : place + count].translate(table), "little")
        woven[half::2] = total.to_bytes(count, "little")
    return unpack(f"<{count}H", woven)


def pair_bucket(first: str, second: str) -> int:
    """Return the bucket of two neighbouring tokens."""
    return (31 * token_hash(first) + token_hash(second)) % BUCKETS


class _Hashes(dict[str, int]):
    """Token as written → bucket of the hash of its kind, worked out once."""

    def __missing__(self, token: str) -> int:
        if len(self) >= _CACHE_SIZE:
            self.clear()
        value = self[token] = token_hash(_kind(token)) % BUCKETS
        return value


_HASHES = _Hashes()


def stretches(length: int) -> Iterator[tuple[int, int]]:
    """Yield the stretches ``[first, last)`` of a text of ``length`` tokens, the whole first where it is short."""
    if length <= STRETCHES[-1]:
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


_score = attrgetter("score")


class _Scores:
    """Of tokens as written the sum of the weights of their own features, worked out once."""

    def __init__(self, weights: list[float]) -> None:
        self._weights = weights
        self._known: dict[str, float] = {}

    def of(self, tokens: list[str]) -> Iterator[float]:
        """Return the sum of each of some tokens."""
        unknown = set(tokens).difference(self._known)
        if len(self._known) + len(unknown) > _CACHE_SIZE:
            self._known.clear()
            unknown = set(tokens)
        if unknown:
            self._learn(unknown)
        return map(self._known.__getitem__, tokens)

    def _learn(self, tokens: set[str]) -> None:
        """Work out new tokens together: what takes time is the hashing of their n-grams."""
        weights = self._weights
        kinds = list(map(_kind, tokens))
        data = f"  {' '.join(filter(str.isalpha, kinds))}   ".encode()
        threes, fours, fives = (list(map(weights.__getitem__, gram_buckets(data, size))) for size in _SIZES)
        start = 1
        for token, kind in zip(tokens, kinds, strict=True):
            own = weights[_HASHES[token]]
            if kind.isalpha():
                end = start + len(kind)
                own = sum([own, *threes[start:end], *fours[start : end - 1], *fives[start : end - 2]])
                start = end + 1
            self._known[token] = own


class LinearModel:
    """Weights of one question, such as "is this an attack?"."""

    def __init__(self, raw: bytes) -> None:
        """Read a weights file (see the module's text).

        Raises:
            ValueError: the file is cut or not of this form.
        """
        head, separator, body = raw.partition(b"\n")
        facts = json.loads(head)
        if not separator or len(body) != BUCKETS:
            raise ValueError(f"weights {facts.get('name')!r} hold {len(body)} bytes, not {BUCKETS}")
        self.name: str = facts["name"]
        #: Log-odds beyond which the answer is yes.
        self.threshold: float = facts["threshold"]
        self.digest = sha256(raw).hexdigest()
        self._bias: float = facts["bias"]
        scale: float = facts["scale"]
        # Of each byte one object, not of each bucket: a text looks up thousands, and they should stay near the core.
        own = [scale * (byte - 256 if byte > 127 else byte) for byte in range(256)]
        pairs = [PAIR_WEIGHT * weight for weight in own]
        self._pairs = [pairs[byte] for byte in body]
        self._own = _Scores([own[byte] for byte in body])

    def whole(self, chunk: Chunk) -> float:
        """Return the score of a chunk as a whole; the bias for an empty one."""
        if not chunk.tokens:
            return self._bias
        total = sum(self._own.of(chunk.tokens)) + sum(map(self._pairs.__getitem__, chunk.pairs))
        return total / math.sqrt(len(chunk.tokens)) + self._bias

    def strongest(self, chunk: Chunk) -> Stretch:
        """Return the strongest stretch of a chunk (see :func:`stretches`). Linear in the number of tokens."""
        length = len(chunk.tokens)
        if not length:
            return Stretch(self._bias, 0, 0)
        pairs = [0.0, *map(self._pairs.__getitem__, chunk.pairs)]
        sums = list(accumulate(map(add, self._own.of(chunk.tokens), pairs), initial=0.0))
        # The pair before a stretch is not part of it. Stretches begin at every fourth token, or at fewer.
        starts = list(map(add, sums[::_STEP], pairs[::_STEP]))
        whole = sums[-1] / math.sqrt(length) if length <= STRETCHES[-1] else float("-inf")
        best = Stretch(whole, 0, length)
        for size in STRETCHES:
            if length <= size:
                break
            step = size // 2
            scores = list(map(sub, sums[size::step], starts[:: step // _STEP]))
            top = max(scores)
            if top / math.sqrt(size) > best.score:
                first = scores.index(top) * step
                best = Stretch(top / math.sqrt(size), first, first + size)
            # The last one is cut short by the end of the text.
            first = len(scores) * step
            if first < length - step:
                last = (sums[-1] - starts[first // _STEP]) / math.sqrt(length - first)
                best = max(best, Stretch(last, first, length), key=_score)
        return Stretch(best.score + self._bias, best.first, best.last)


@cache
def load(name: str) -> LinearModel:
    """Return the packaged model of that name: ``threats`` or ``internal``."""
    return LinearModel((files("metaqore.security") / "weights" / f"{name}.bin").read_bytes())
