"""The versions that matter to some requirements, in a line, and which of them each requirement accepts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VersionLine:
    """Enough versions to tell any two satisfiable sets of the requirements from an unsatisfiable one.

    A set of versions is an integer whose bit ``i`` stands for ``versions[i]``, so that many versions are
    intersected at once.
    """

    #: Their text is their ``str``.
    versions: Sequence[object]
    #: Positions in ``versions``, those that read best as an example first.
    preference: list[int]
    #: For each requirement, the versions that it accepts.
    accepted: list[int]


def bits(positions: Iterable[int]) -> int:
    """Return the set of these positions."""
    found = 0
    for position in positions:
        found |= 1 << position
    return found


def bits_between(start: int, end: int) -> int:
    """Return the set of the positions ``start`` to ``end - 1``."""
    return (1 << end) - (1 << start) if start < end else 0
