"""Which parts of a blocked declaration really stand in the way. Pure.

A *cause* is a part of the declaration that a conflict points at: its base version, one dependency, one claim. Not every
cause of a conflict keeps the declaration out: adaptive resolves some, and of two requirements that exclude each other
either may go. The core is a minimal correction set (Marques-Silva et al., IJCAI 2013): without all of its causes the
declaration is admitted, and with any one of them left it is not. It is found by putting the causes back one at a time,
deciding each time, until no more of them can be put back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from metaqore.psmp.edits import entry, pointer_to, steps

#: Causes that are looked at one by one; a declaration with more of them is told all of them.
MAX_CAUSES = 32


class Cause(msgspec.Struct, frozen=True):
    """A part of a declaration, and the conflicts that point at it."""

    pointer: str
    conflicts: tuple[Mapping[str, Any], ...]


class Core(msgspec.Struct, frozen=True):
    """The causes that must go. ``minimal`` is False where there were too many to tell, or none helps."""

    causes: tuple[Cause, ...]
    minimal: bool


def causes_of(conflicts: Iterable[Mapping[str, Any]]) -> list[Cause]:
    """Group conflicts, as they are shown, by the part of the declaration that they point at."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for conflict in conflicts:
        path = steps(conflict["evidence"].get("pointer", ""))
        whole = path if path[:1] == ("content",) else entry(path)
        found.setdefault(pointer_to(whole), []).append(conflict)
    return [Cause(pointer, tuple(grouped)) for pointer, grouped in found.items()]


def minimal_core(causes: Sequence[Cause], admitted_without: Callable[[Sequence[Cause]], bool]) -> Core:
    """Return the core of ``causes``.

    Args:
        admitted_without: whether the declaration would be admitted without these causes.
    """
    if not causes:
        return Core((), minimal=True)
    if len(causes) > MAX_CAUSES or not admitted_without(causes):
        return Core(tuple(causes), minimal=False)
    core = list(causes)
    changed = len(core) > 1
    while changed:
        # A cause that had to go may stay once another is back: merging is not monotone. Until nothing changes.
        changed = False
        for cause in list(core):
            rest = [other for other in core if other is not cause]
            if rest and admitted_without(rest):
                core, changed = rest, len(rest) > 1
    return Core(tuple(core), minimal=True)
