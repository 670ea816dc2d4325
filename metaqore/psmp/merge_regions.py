"""The core of every three-way merge: where two sequences changed since their common base.

Sources: S. Khanna, K. Kunal, B. C. Pierce, "A Formal Investigation of Diff3", FSTTCS 2007;
git-merge-file(1).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from metaqore.psmp.merge_diff import Hunk, line_hunks
from metaqore.psmp.merge_split import Effort


class Take(Enum):
    """Whose lines to take. ``EITHER``: they are equal. ``NEITHER``: the sides contradict each other."""

    OURS = 1
    THEIRS = 2
    EITHER = 3
    NEITHER = 4


@dataclass(slots=True)
class Region:
    """Items ``start:end`` of the three sequences that belong together, and whose to take."""

    take: Take
    base: tuple[int, int]
    ours: tuple[int, int]
    theirs: tuple[int, int]


def regions(
    base: Sequence[Hashable], ours: Sequence[Hashable], theirs: Sequence[Hashable], effort: Effort | None = None
) -> Iterator[Region]:
    """Yield the changes of both sides, those that touch or overlap as one, but for changes that are equal."""
    ours_shift = theirs_shift = 0
    for left, right in _clusters(line_hunks(base, ours, effort), line_hunks(base, theirs, effort)):
        start = min(hunk[0] for hunk in left + right)
        end = max(hunk[0] + hunk[1] for hunk in left + right)
        ours_from, theirs_from = start + ours_shift, start + theirs_shift
        ours_shift += sum(new - old for _, old, _, new in left)
        theirs_shift += sum(new - old for _, old, _, new in right)
        ours_span, theirs_span = (ours_from, end + ours_shift), (theirs_from, end + theirs_shift)
        equal = (
            len(left) == len(right) == 1
            and left[0][:2] == right[0][:2]
            and ours[slice(*ours_span)] == theirs[slice(*theirs_span)]
        )
        if not equal:
            take = Take.OURS if not right else Take.THEIRS if not left else Take.NEITHER
            yield Region(take, (start, end), ours_span, theirs_span)


def _clusters(left: Sequence[Hunk], right: Sequence[Hunk]) -> Iterator[tuple[list[Hunk], list[Hunk]]]:
    """Group the hunks of two sides that overlap or touch in the base, directly or through others."""
    waiting = sorted([(hunk, 0) for hunk in left] + [(hunk, 1) for hunk in right])
    cluster: tuple[list[Hunk], list[Hunk]] = ([], [])
    reach = -1
    for hunk, side in waiting:
        if reach >= 0 and hunk[0] > reach:
            yield cluster
            cluster = ([], [])
        cluster[side].append(hunk)
        reach = max(reach, hunk[0] + hunk[1])
    if waiting:
        yield cluster
