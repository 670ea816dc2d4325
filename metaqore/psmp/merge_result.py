"""What a three-way merge answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

Merged = TypeVar("Merged")
AnyConflict = TypeVar("AnyConflict")

#: The side whose answer stands where the two contradict each other.
Preference = Literal["ours", "theirs"]


@dataclass(frozen=True, slots=True)
class MergeResult(Generic[Merged, AnyConflict]):
    """The outcome of merging ``ours`` and ``theirs``, two successors of ``base``."""

    #: True where every change of both sides is in ``merged``, and none contradicts another.
    clean: bool
    #: The merge. Where it is not clean and no side was preferred: text carries conflict markers, and a
    #: JSON document is None.
    merged: Merged
    #: Empty where clean; else each contradiction, in document order.
    conflicts: tuple[AnyConflict, ...] = ()
