"""The three-way merge of what is declared beside the content: dependencies, requirements, claims, metadata. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from metaqore.psmp.merge import merge_json
from metaqore.psmp.model import Claims, Declaration, Dependency, Requirement

Entry = TypeVar("Entry")


class Collision(Exception):
    """Both sides changed one entry in different ways; ``pointer`` says which."""

    def __init__(self, pointer: str) -> None:
        self.pointer = pointer
        super().__init__(pointer)


def merge_declared(base: Mapping[str, Any], head: Mapping[str, Any], ours: Declaration) -> Declaration:
    """Return the declaration with what the head has changed since the base.

    Args:
        base: what the version that both started from kept beside its content.
        head: the same of the present version.

    Raises:
        Collision: both changed one entry in different ways.
    """
    return msgspec.structs.replace(
        ours,
        depends_on=_entries("/depends_on", base, head, ours.depends_on, Dependency, _what),
        requires=_entries("/requires", base, head, ours.requires, Requirement, _package),
        claims=_claims(base, head, ours),
        metadata=_metadata(base.get("metadata", {}), head.get("metadata", {}), ours.metadata),
    )


def _package(requirement: Requirement) -> Hashable:
    return requirement.ecosystem, requirement.name, requirement.scope


def _what(dependency: Dependency) -> Hashable:
    return dependency.artifact or (dependency.type, dependency.name)


def _entries(
    pointer: str,
    base: Mapping[str, Any],
    head: Mapping[str, Any],
    ours: Iterable[Entry],
    kind: type[Entry],
    key: Callable[[Entry], Hashable],
) -> tuple[Entry, ...]:
    """Merge lists of entries by what each is about; ours come first, in their order."""
    field = pointer[1:]
    if base.get(field) == head.get(field):
        return tuple(ours)
    before = {key(entry): entry for entry in (msgspec.convert(each, kind) for each in base.get(field, ()))}
    there = {key(entry): entry for entry in (msgspec.convert(each, kind) for each in head.get(field, ()))}
    here = {key(entry): entry for entry in ours}
    merged: dict[Hashable, Entry] = {}
    for index, about in enumerate([*here, *(about for about in there if about not in here)]):
        was, theirs, mine = before.get(about), there.get(about), here.get(about)
        if mine != was and theirs not in (was, mine):
            raise Collision(f"{pointer}/{index}" if about in here else pointer)
        kept = theirs if mine == was else mine
        if kept is not None:
            merged[about] = kept
    return tuple(merged.values())


def _claims(base: Mapping[str, Any], head: Mapping[str, Any], ours: Declaration) -> tuple[str, ...] | Claims:
    if base.get("claims") == head.get("claims"):
        return ours.claims
    before, there = _claimed(base), _claimed(head)
    here = ours.claimed
    paths, resources = (
        tuple(dict.fromkeys([*(c for c in mine if c not in was or c in theirs), *(c for c in theirs if c not in was)]))
        for was, theirs, mine in (
            (before.paths, there.paths, here.paths), (before.resources, there.resources, here.resources),
        )
    )  # fmt: skip
    if (paths, resources) == (here.paths, here.resources):
        return ours.claims
    return Claims(paths=paths, resources=resources)


def _claimed(body: Mapping[str, Any]) -> Claims:
    claims = msgspec.convert(body.get("claims", ()), tuple[str, ...] | Claims)
    return claims if isinstance(claims, Claims) else Claims(paths=claims)


def _metadata(base: dict[str, Any], head: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    if base == head:
        return ours
    result = merge_json(base, head, ours)
    if not result.clean:
        raise Collision("/metadata" + result.conflicts[0].pointer)
    merged: dict[str, Any] = result.merged
    return merged
