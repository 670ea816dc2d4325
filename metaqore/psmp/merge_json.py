"""Three-way merge of JSON documents.

Objects merge member by member. Arrays are lists of things that have an identity: the value of an identity key
where every element is an object with one (``id``, ``name`` …), else the element itself. Elements merge by
identity; what cannot be told apart or put in order without a guess is a conflict of the whole array. A value
that is neither is replaced whole.

A side that equals the base takes the other side; equal sides are taken; all else is a conflict. So an edit
against a deletion is one, and so is an edit inside what the other side deleted.

Numbers are equal by value (1 and 1.0), true and 1 are not.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from metaqore.errors import InvalidInput
from metaqore.psmp.merge_regions import Take, regions
from metaqore.psmp.merge_result import MergeResult, Preference
from metaqore.psmp.merge_split import Effort

#: Members that name an object among its neighbours, the surest first.
IDENTITY_KEYS = ("id", "@id", "$id", "uid", "uuid", "key", "name", "slug", "path", "repo")


@dataclass(frozen=True, slots=True)
class JsonConflict:
    """A value that both sides changed in different ways. An absent value is ``msgspec.UNSET``."""

    #: RFC 6901. An array index counts in the base where the element is there, else in ours.
    pointer: str
    #: "edit/edit", "edit/delete", "add/add" or "array/array".
    type: str
    base: Any
    ours: Any
    theirs: Any
    #: For "array/array": the conflicts inside single elements; empty where the array as a whole is in conflict.
    inside: tuple[JsonConflict, ...] = ()


def merge_json(
    base: Any, ours: Any, theirs: Any, *, prefer: Preference | None = None, effort: Effort | None = None
) -> MergeResult[Any, JsonConflict]:
    """Merge two successors of a JSON document.

    Args:
        base: the document that both sides started from, as ``json.loads`` gives it.
        ours: one successor.
        theirs: the other successor.
        prefer: the side to take in conflicts. The result is still not clean.
        effort: what may be spent on comparing lists; None is no bound.

    Returns:
        The merged document, sharing parts with the inputs; None where not clean and no side is preferred.
        Swapping the sides changes neither whether it is clean nor, but for the order of members and of
        elements that both sides added, the document.

    Raises:
        InvalidInput: a document is nested too deeply.
        TooMuchEffort: the effort is spent.
    """
    merger = _Merger(prefer, effort)
    try:
        merged = merger.value(base, ours, theirs, "")
    except RecursionError:
        raise InvalidInput("the JSON documents are nested too deeply to be merged: flatten them") from None
    clean = not merger.conflicts
    return MergeResult(clean, merged if clean or prefer else None, tuple(merger.conflicts))


class _Merger:
    """Merges values and gathers the conflicts on the way."""

    def __init__(self, prefer: Preference | None, effort: Effort | None) -> None:
        self._prefer = prefer
        self._effort = effort
        self.conflicts: list[JsonConflict] = []

    def value(self, base: Any, ours: Any, theirs: Any, pointer: str) -> Any:
        """Return the merge of one value, ``UNSET`` where it is absent."""
        if same_json(ours, theirs) or same_json(base, theirs):
            return ours
        if same_json(base, ours):
            return theirs
        sides = (base, ours, theirs)
        if all(isinstance(side, dict) for side in sides):
            return self._object(base, ours, theirs, pointer)
        if all(isinstance(side, list) for side in sides):
            return self._array(base, ours, theirs, pointer)
        kind = "add/add" if base is UNSET else "edit/delete" if UNSET in (ours, theirs) else "edit/edit"
        return self._conflict(JsonConflict(pointer, kind, base, ours, theirs))

    def _conflict(self, conflict: JsonConflict) -> Any:
        self.conflicts.append(conflict)
        return conflict.theirs if self._prefer == "theirs" else conflict.ours

    def _object(
        self, base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any], pointer: str
    ) -> dict[str, Any]:
        merged = {}
        for name in {**ours, **theirs}:
            values = [side.get(name, UNSET) for side in (base, ours, theirs)]
            value = self.value(values[0], values[1], values[2], f"{pointer}/{_escaped(name)}")
            if value is not UNSET:
                merged[name] = value
        return merged

    def _array(self, base: list[Any], ours: list[Any], theirs: list[Any], pointer: str) -> Any:
        inner = _Merger(self._prefer, self._effort)
        merged = inner._elements(base, ours, theirs, pointer)
        if merged is not None and not inner.conflicts:
            return merged
        whole = JsonConflict(pointer, "array/array", base, ours, theirs, tuple(inner.conflicts))
        chosen = self._conflict(whole)
        return merged if merged is not None and self._prefer else chosen

    def _elements(self, base: list[Any], ours: list[Any], theirs: list[Any], pointer: str) -> list[Any] | None:
        """Merge by identity; None where elements cannot be told apart, or their order cannot be known."""
        sides = base, ours, theirs
        key = _identity_key(sides)
        names = [[_identity(element, key) for element in side] for side in sides]
        order = _order_of_values(*names, effort=self._effort) if key is None else _order_of_members(*names)
        if order is None:
            return None
        places = [{name: at for at, name in enumerate(side)} for side in names]
        merged = []
        for name in order:
            at = next(place[name] for place in places if name in place)
            values = [side[place[name]] if name in place else UNSET for side, place in zip(sides, places, strict=True)]
            value = self.value(values[0], values[1], values[2], f"{pointer}/{at}")
            if value is not UNSET:
                merged.append(value)
        return merged


def same_json(a: Any, b: Any) -> bool:
    """Return whether two JSON values are equal: true and 1 are not, 1 and 1.0 are."""
    if a is b:
        return True
    if isinstance(a, bool) or isinstance(b, bool):
        return False
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_json(value, b[name]) for name, value in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same_json, a, b))
    return bool(a == b)


def _escaped(name: str) -> str:
    """Return a member name as a reference token (RFC 6901, section 3)."""
    return name.replace("~", "~0").replace("/", "~1")


def _identity_key(sides: Sequence[list[Any]]) -> str | None:
    """Return the key that names every element, unlike any other on its side; None where there is none."""
    for key in IDENTITY_KEYS:
        for side in sides:
            names = [element.get(key) for element in side if isinstance(element, dict)]
            if len(names) < len(side) or not all(type(name) in (str, int) for name in names):
                break
            if len(set(names)) < len(names):
                break
        else:
            return key
    return None


def _identity(element: Any, key: str | None) -> Hashable:
    return json.dumps(element, sort_keys=True) if key is None else element[key]


def _order_of_values(
    base: list[Hashable], ours: list[Hashable], theirs: list[Hashable], *, effort: Effort | None
) -> list[Hashable] | None:
    """Merge like lines; None where the sides change the same place, or a value is there twice."""
    if any(len(set(side)) < len(side) for side in (base, ours, theirs)):
        return None
    order: list[Hashable] = []
    at = 0
    for region in regions(base, ours, theirs, effort):
        if region.take is Take.NEITHER:
            return None
        if region.take is Take.THEIRS:
            order += ours[at : region.ours[0]] + theirs[slice(*region.theirs)]
            at = region.ours[1]
    order += ours[at:]
    return order if len(set(order)) == len(order) else None


def _order_of_members(base: list[Hashable], ours: list[Hashable], theirs: list[Hashable]) -> list[Hashable] | None:
    """Return all names: as one side orders them, those only of the other before what follows them there.

    None where both sides reordered what they have in common, in different ways.
    """
    common = set(ours) & set(theirs)
    as_in_base, as_in_ours, as_in_theirs = ([name for name in side if name in common] for side in (base, ours, theirs))
    if as_in_theirs in (as_in_ours, as_in_base):
        leading, other = ours, theirs
    elif as_in_ours == as_in_base:
        leading, other = theirs, ours
    else:
        return None
    before: dict[Hashable, list[Hashable]] = {}
    waiting: list[Hashable] = []
    led = set(leading)
    for name in other:
        if name in led:
            before[name] = waiting
            waiting = []
        else:
            waiting.append(name)
    return [name for led_name in leading for name in (*before.get(led_name, ()), led_name)] + waiting
