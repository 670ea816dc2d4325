"""Near-duplicates, found by MinHash and confirmed by exact Jaccard similarity.

They must go before a data set is split: a near-copy of a training example among the test examples makes every
measurement too good.

Source: Broder, "On the resemblance and containment of documents", SEQUENCES 1997.
"""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Sequence

from metaqore.hmcp.classifier import require_ml

_SHINGLE = 5
_BANDS = 32
_ROWS = 4
_PRIME = (1 << 31) - 1


def without_near_duplicates(texts: Sequence[str], similarity: float, seed: int) -> list[int]:
    """Return the indices of the texts to keep, in order: the first of each family of near-duplicates.

    Two texts are near-duplicates where the Jaccard similarity of their 5-character shingles, with numbers masked and
    case and blanks made equal, is at least ``similarity``.
    """
    kept: list[int] = []
    shingled: dict[int, frozenset[int]] = {}
    buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    np = require_ml()
    random = np.random.default_rng(seed)
    factor = random.integers(1, _PRIME, size=(_BANDS * _ROWS, 1), dtype=np.uint64)
    offset = random.integers(0, _PRIME, size=(_BANDS * _ROWS, 1), dtype=np.uint64)
    for index, text in enumerate(texts):
        shingles = _shingles(text)
        hashes = np.fromiter(shingles, dtype=np.uint64, count=len(shingles)) % _PRIME
        least = ((hashes * factor + offset) % _PRIME).min(axis=1).astype(np.uint32).reshape(_BANDS, _ROWS)
        keys = [(band, least[band].tobytes()) for band in range(_BANDS)]
        near = {other for key in keys for other in buckets.get(key, ())}
        if any(_jaccard(shingles, shingled[other]) >= similarity for other in near):
            continue
        kept.append(index)
        shingled[index] = shingles
        for key in keys:
            buckets[key].append(index)
    return kept


def _shingles(text: str) -> frozenset[int]:
    plain = re.sub(r"\d+", "0", " ".join(text.casefold().split()))
    return frozenset(
        zlib.crc32(plain[at : at + _SHINGLE].encode("utf-8", "surrogatepass"))
        for at in range(max(1, len(plain) - _SHINGLE + 1))
    )


def _jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    common = len(one & other)
    return common / (len(one) + len(other) - common)
