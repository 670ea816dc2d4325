"""Ranges of artifact versions: comparators over whole numbers, joined by commas, e.g. ``>=2,<4``. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import eq, ge, gt, le, lt, ne

import msgspec

_COMPARATOR = re.compile(r"\s*(==|!=|>=|<=|>|<|=|)\s*([0-9]{1,9})\s*")
_OPERATORS: Mapping[str, Callable[[int, int], bool]] = {
    "": eq, "=": eq, "==": eq, "!=": ne, ">=": ge, ">": gt, "<=": le, "<": lt,
}  # fmt: skip
#: Most comparators of one range.
MAX_COMPARATORS = 16


class VersionRange(msgspec.Struct, frozen=True):
    """A set of versions: those that satisfy every comparator. None at all means every version."""

    comparators: tuple[tuple[str, int], ...]

    def __contains__(self, version: int) -> bool:
        return all(_OPERATORS[operator](version, bound) for operator, bound in self.comparators)

    def newest(self, head: int) -> int | None:
        """Return the highest of the versions 1 to ``head`` that is in the range; None where there is none."""
        # Between two bounds either every version is in the range or none is: only neighbours of bounds can be highest.
        edges = {head, *(bound + step for _, bound in self.comparators for step in (-1, 0, 1))}
        return max((version for version in edges if 1 <= version <= head and version in self), default=None)


@lru_cache(maxsize=1024)
def parse_range(text: str) -> VersionRange:
    """Read a range; ``*`` is every version.

    Raises:
        ValueError: it is none.
    """
    if text.strip() == "*":
        return VersionRange(())
    parts = text.split(",")
    matches = [_COMPARATOR.fullmatch(part) for part in parts[: MAX_COMPARATORS + 1]]
    if len(parts) > MAX_COMPARATORS or not all(matches):
        raise ValueError(f"{text[:80]!r} is no range of versions: write one as in 3, >=2 or >=2,<4")
    return VersionRange(tuple((match[1], int(match[2])) for match in matches if match is not None))
