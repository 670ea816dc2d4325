"""Three-way merge of text by lines, with the answers of ``git merge-file``.

Changes of the two sides that neither overlap nor touch are all taken; equal changes are taken once; all else
is a conflict, cut down to the lines in which the sides really differ. Lines end in LF; a CR before it belongs
to the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO

from metaqore.psmp.merge_diff import line_hunks
from metaqore.psmp.merge_regions import Region, Take, regions
from metaqore.psmp.merge_result import MergeResult, Preference
from metaqore.psmp.merge_split import Effort

_WORD = re.compile(r"[0-9A-Za-z]")
# Conflicts this near to each other read better as one.
_NEAR_LINES = 3


@dataclass(frozen=True, slots=True)
class Labels:
    """Names of the three texts, for conflict markers."""

    ours: str = "ours"
    base: str = "base"
    theirs: str = "theirs"


@dataclass(frozen=True, slots=True)
class TextConflict:
    """Lines that both sides changed in different ways. Line numbers count from 1."""

    #: Where the lines stand in each text; for an empty run, the line it would stand before.
    base_line: int
    ours_line: int
    theirs_line: int
    #: The lines themselves. ``base`` covers the whole change that the conflict is a part of, so it can be
    #: wider than the two sides, and the same for several conflicts.
    base: str
    ours: str
    theirs: str


@dataclass(frozen=True, slots=True)
class _Texts:
    base: list[str]
    ours: list[str]
    theirs: list[str]


def merge_text(
    base: str,
    ours: str,
    theirs: str,
    *,
    prefer: Preference | None = None,
    labels: Labels | None = None,
    diff3: bool = False,
    effort: Effort | None = None,
) -> MergeResult[str, TextConflict]:
    """Merge two successors of a text.

    Args:
        base: the text that both sides started from; empty where there was none.
        ours: one successor.
        theirs: the other successor.
        prefer: the side to take in conflicts, in place of markers. The result is still not clean.
        labels: names for the conflict markers.
        diff3: show the base in conflicts too. Conflicts are then whole changes, not cut down to the lines
            that differ, as in ``git merge-file --diff3``.
        effort: what may be spent on comparing; None is no bound.

    Raises:
        TooMuchEffort: the effort is spent.

    Returns:
        The merged text. Each conflict stands in it between ``<<<<<<<``, ``=======`` and ``>>>>>>>`` lines.
        Swapping the sides never changes whether it is clean.
    """
    if base == theirs or ours == theirs:
        return MergeResult(True, ours)
    if base == ours:
        return MergeResult(True, theirs)
    texts = _Texts(_lines(base), _lines(ours), _lines(theirs))
    found = list(regions(texts.base, texts.ours, texts.theirs, effort))
    if not diff3 and any(region.take is Take.NEITHER for region in found):
        found = _joined(_refined(found, texts, effort), texts.ours)
    conflicts = [region for region in found if region.take is Take.NEITHER]
    reports = tuple(_conflict(region, texts) for region in conflicts)
    if prefer:
        for region in conflicts:
            region.take = Take[prefer.upper()]
    merged = "".join(_written(found, texts, labels or Labels(), diff3))
    return MergeResult(not reports, merged, reports)


def _lines(text: str) -> list[str]:
    """Split after each LF and nowhere else; the last line may lack it."""
    return StringIO(text, newline="\n").readlines()


def _refined(found: Iterable[Region], texts: _Texts, effort: Effort | None) -> Iterator[Region]:
    """Cut each conflict down to the lines in which the two sides differ."""
    for region in found:
        (ours_from, ours_to), (theirs_from, theirs_to) = region.ours, region.theirs
        if region.take is not Take.NEITHER or ours_from == ours_to or theirs_from == theirs_to:
            yield region
            continue
        hunks = line_hunks(texts.ours[ours_from:ours_to], texts.theirs[theirs_from:theirs_to], effort)
        if not hunks:
            yield Region(Take.EITHER, region.base, region.ours, region.theirs)
        for ours_at, n_ours, theirs_at, n_theirs in hunks:
            ours = ours_from + ours_at, ours_from + ours_at + n_ours
            theirs = theirs_from + theirs_at, theirs_from + theirs_at + n_theirs
            yield Region(Take.NEITHER, region.base, ours, theirs)


def _joined(found: Iterable[Region], ours: Sequence[str]) -> list[Region]:
    """Make one of neighbouring conflicts with three lines or fewer, or no word, between them."""
    joined: list[Region] = []
    for region in found:
        last = joined[-1] if joined else None
        if last and last.take is region.take is Take.NEITHER:
            between = ours[last.ours[1] : region.ours[0]]
            if len(between) <= _NEAR_LINES or not any(map(_WORD.search, between)):
                last.base = last.base[0], region.base[1]
                last.ours = last.ours[0], region.ours[1]
                last.theirs = last.theirs[0], region.theirs[1]
                continue
        joined.append(region)
    return joined


def _conflict(region: Region, texts: _Texts) -> TextConflict:
    return TextConflict(
        base_line=region.base[0] + 1,
        ours_line=region.ours[0] + 1,
        theirs_line=region.theirs[0] + 1,
        base="".join(texts.base[slice(*region.base)]),
        ours="".join(texts.ours[slice(*region.ours)]),
        theirs="".join(texts.theirs[slice(*region.theirs)]),
    )


def _written(found: Iterable[Region], texts: _Texts, labels: Labels, diff3: bool) -> list[str]:
    """Return the merged text in pieces: our text, with each region put in its place."""
    pieces: list[str] = []
    at = 0
    for region in found:
        if region.take in (Take.THEIRS, Take.NEITHER):
            pieces += texts.ours[at : region.ours[0]]
            if region.take is Take.THEIRS:
                pieces += texts.theirs[slice(*region.theirs)]
            else:
                pieces += _marked(region, texts, labels, diff3)
            at = region.ours[1]
    return pieces + texts.ours[at:]


def _marked(region: Region, texts: _Texts, labels: Labels, diff3: bool) -> Iterator[str]:
    """Yield a conflict between markers that end as the lines around them do."""
    end = _line_end(region, texts)
    yield f"<<<<<<< {labels.ours}{end}"
    yield from _ended(texts.ours[slice(*region.ours)], end)
    if diff3:
        yield f"||||||| {labels.base}{end}"
        yield from _ended(texts.base[slice(*region.base)], end)
    yield f"======={end}"
    yield from _ended(texts.theirs[slice(*region.theirs)], end)
    yield f">>>>>>> {labels.theirs}{end}"


def _ended(lines: list[str], end: str) -> list[str]:
    """Return lines, the last one ended where the text stopped without."""
    return [*lines[:-1], lines[-1] + end] if lines and not lines[-1].endswith("\n") else lines


def _line_end(region: Region, texts: _Texts) -> str:
    """Return CR LF where the base begins with such a line and no side has another before the conflict."""
    near = (texts.ours, region.ours[0] - 1), (texts.theirs, region.theirs[0] - 1)
    if _has_cr(texts.base, 0) and all(_has_cr(lines, max(at, 0)) is not False for lines, at in near):
        return "\r\n"
    return "\n"


def _has_cr(lines: Sequence[str], at: int) -> bool | None:
    """True where the line ends in CR LF, False where in LF; None where that cannot be known."""
    if at < len(lines) and not lines[at].endswith("\n"):
        at -= 1
    if not lines or at < 0:
        return None
    return lines[at].endswith("\r\n")
