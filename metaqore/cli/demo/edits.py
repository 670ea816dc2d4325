"""From successive versions of a file to edits that could have been made at the same time. Pure.

Where one change of a file followed another, taking the first back out of the second gives two changes of one base.
They are what two agents would have made who did not know of each other, and their merge is what history has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metaqore.psmp.merge import merge_text

#: Most edits of one base.
MAX_EDITS = 4


@dataclass(frozen=True, slots=True)
class Edits:
    """Edits of one base that do not collide. ``origin`` says where in the history they are from."""

    path: str
    origin: str
    base: str
    edits: tuple[str, ...]
    #: The text with all of them.
    merged: str


@dataclass(frozen=True, slots=True)
class Collision:
    """Two edits of one base that cannot be merged: ``second`` was made on top of ``first``, or against it."""

    path: str
    origin: str
    base: str
    first: str
    second: str
    #: The text that people settled on.
    settled: str


@dataclass(frozen=True, slots=True)
class Versions:
    """A file's successive texts, oldest first, each with a short name of its own."""

    path: str
    names: tuple[str, ...]
    texts: tuple[str, ...]


def taken_back(before: str, first: str, second: str) -> str | None:
    """Return ``second`` as if ``first`` had not been made on ``before``; None where that has no clean answer."""
    undone = merge_text(first, second, before)
    return undone.merged if undone.clean and undone.merged not in (before, first) else None


def split(versions: Versions) -> tuple[list[Edits], list[Collision]]:
    """Return the groups of edits that the history of a file gives, and the pairs that cannot be had apart."""
    groups: list[Edits] = []
    collisions: list[Collision] = []
    start = 0
    while start + 2 < len(versions.texts):
        edits = _edits_from(versions.texts, start)
        end = start + len(edits)
        origin = (
            f"{versions.names[start + 1]}..{versions.names[min(start + max(len(edits), 2), len(versions.names) - 1)]}"
        )
        if len(edits) > 1:
            groups.append(Edits(versions.path, origin, versions.texts[start], tuple(edits), versions.texts[end]))
            start = end
        else:
            base, first, second = versions.texts[start : start + 3]
            if base not in (first, second) and first != second and not merge_text(base, first, second).clean:
                collisions.append(Collision(versions.path, origin, base, first, second, second))
            start += 1
    return groups, collisions


def _edits_from(texts: Sequence[str], start: int) -> list[str]:
    """Return as many edits of ``texts[start]`` as can be had, from the versions after it."""
    base = texts[start]
    edits = [texts[start + 1]]
    for now in range(start + 2, min(start + 1 + MAX_EDITS, len(texts))):
        edit = taken_back(base, texts[now - 1], texts[now])
        if edit is None or not _in_any_order(base, [*edits, edit], texts[now]):
            break
        edits.append(edit)
    return edits if edits[0] != base else []


def _in_any_order(base: str, edits: Sequence[str], wanted: str) -> bool:
    """True where merging the edits one after another gives ``wanted``, forwards and backwards."""
    for order in (edits, edits[::-1]):
        text = order[0]
        for edit in order[1:]:
            merged = merge_text(base, text, edit)
            if not merged.clean:
                return False
            text = merged.merged
        if text != wanted:
            return False
    return True
