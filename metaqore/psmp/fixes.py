"""What may help against each class of conflict: edits of the declaration. Pure; none is offered before it was tried.

Adding a class: one function here and one line in ``FIXES``; a class without one is helped by leaving its cause out.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from metaqore.psmp import edits
from metaqore.psmp.edits import Payload
from metaqore.psmp.minimal_core import Cause
from metaqore.psmp.rebasing import on_head, rename
from metaqore.psmp.scene import Fix, Scene


def fixes_for(cause: Cause, scene: Scene) -> list[Fix]:
    """Return what may help against a cause, the gentlest first."""
    found: list[Fix] = []
    for conflict in cause.conflicts:
        found += FIXES.get(conflict["class"], _leave_out)(cause.pointer, conflict, scene)
    unique: dict[str, Fix] = {}
    for fix in found:
        unique.setdefault(fix.what, msgspec.structs.replace(fix, pointer=cause.pointer))
    return list(unique.values())


def _stale(_pointer: str, _conflict: Mapping[str, Any], scene: Scene) -> Iterable[Fix]:
    return on_head(scene)


def _collides(_pointer: str, _conflict: Mapping[str, Any], scene: Scene) -> Iterable[Fix]:
    return [fix for fix in on_head(scene) if fix.kind != "rebase"]


def _missing(pointer: str, conflict: Mapping[str, Any], scene: Scene) -> Iterable[Fix]:
    path = edits.steps(pointer)
    dependency = edits.value_at(scene.payload, path)
    named = conflict["evidence"].get("dependency", "this dependency")
    if dependency.get("version") is not None:
        yield Fix("any_version", f"Depend on {named} without naming a version.",
                  lambda payload: edits.take_out(payload, (*path, "version")))  # fmt: skip
    name, kind = dependency.get("name"), dependency.get("type")
    if name is not None and kind is not None:
        for near in difflib.get_close_matches(name, scene.near(kind, name), n=2, cutoff=0.75):
            if near != scene.payload.get("name") or kind != scene.payload.get("type"):
                yield Fix("rename_dependency", f"Depend on {kind}/{near}, which exists, in place of {named}.",
                          lambda payload, near=near: edits.put(payload, (*path, "name"), near))  # type: ignore[misc] # fmt: skip
    yield from _leave_out(pointer, conflict, scene)


def _range(pointer: str, conflict: Mapping[str, Any], scene: Scene) -> Iterable[Fix]:
    path = (*edits.steps(pointer)[:2], "version")
    evidence = conflict["evidence"]
    head = evidence.get("head_version")
    if head:
        yield Fix("newest_version", f"Depend on version {head} of {evidence.get('dependency')}, the present one.",
                  lambda payload: edits.put(payload, path, head))  # fmt: skip
    yield Fix("any_version", f"Depend on {evidence.get('dependency')} without naming a version.",
              lambda payload: edits.take_out(payload, path))  # fmt: skip
    yield from _leave_out(pointer, conflict, scene)


def _replaced(pointer: str, conflict: Mapping[str, Any], scene: Scene) -> Iterable[Fix]:
    replacement = conflict["evidence"].get("replacement")
    if isinstance(replacement, str):
        path = edits.steps(pointer)[:2]
        yield Fix("replacement", f"Depend on {replacement}, which takes its place.",
                  lambda payload: edits.put(payload, path, {"artifact": replacement}))  # fmt: skip
    yield from _leave_out(pointer, conflict, scene)


def _constraint(pointer: str, conflict: Mapping[str, Any], scene: Scene) -> Iterable[Fix]:
    path = edits.steps(pointer)
    evidence = conflict["evidence"]
    own = edits.value_at(scene.payload, path).get("specifier", "")
    narrowed = evidence.get("narrowed", ())
    if narrowed:
        what = (
            f"Ask for {evidence.get('package')} {', '.join(each['specifier'] for each in narrowed)}: "
            "what of yours contradicts nobody, and what all others accept."
        )
        yield Fix("narrow", what, lambda payload: _narrow(payload, path, narrowed))
    others = [each["specifier"] for each in evidence.get("core", ()) if each["specifier"] != own]
    if others and not narrowed:
        joined = ("," if evidence.get("ecosystem") == "pypi" else " ").join(others)
        what = f"Ask for {evidence.get('package')} {joined}, as those do whom it contradicts."
        yield Fix("others_range", what, lambda payload: edits.put(payload, (*path, "specifier"), joined))
    witness = evidence.get("witness")
    if witness is not None:
        specifier = f"=={witness}" if evidence.get("ecosystem") == "pypi" else str(witness)
        what = f"Ask for {evidence.get('package')} {specifier}, which all others accept."
        yield Fix("witness", what, lambda payload: edits.put(payload, (*path, "specifier"), specifier))
    yield from _leave_out(pointer, conflict, scene)


def _narrow(payload: Payload, path: Sequence[str], narrowed: Sequence[Mapping[str, str]]) -> Payload:
    # Where another cause was taken out before, entries have moved; only the conflict's own is known to be at ``path``.
    places = [path] if len(narrowed) == 1 else [edits.steps(each["pointer"]) for each in narrowed]
    for place, each in zip(places, narrowed, strict=True):
        payload = edits.put(payload, (*place, "specifier"), each["specifier"])
    return payload


def _reread(pointer: str, conflict: Mapping[str, Any], scene: Scene) -> Iterable[Fix]:
    path = edits.steps(pointer)
    evidence = conflict["evidence"]
    head = evidence.get("head_version")
    if head:
        what = f"Read version {head} of {evidence.get('read', 'it')}; if this still holds, declare that you have."
        yield Fix("reread", what, lambda payload: edits.put(payload, (*path, "version"), head))


def _owned(pointer: str, conflict: Mapping[str, Any], scene: Scene) -> Iterable[Fix]:
    owner = conflict["evidence"].get("manager") or "its manager"
    yield Fix("leave_field", f"Leave {pointer} as {owner} has it.",
              lambda payload: edits.without(payload, [pointer], scene.head, scene.head_content))  # fmt: skip
    field = pointer.removeprefix("/content")
    what = f"Take {pointer} over from {owner}."
    yield Fix("take_over", what, lambda payload: {**payload, "force": [*payload.get("force", ()), field]})


def _label(pointer: str, conflict: Mapping[str, Any], scene: Scene) -> Iterable[Fix]:
    inherited = conflict["evidence"].get("inherited")
    if isinstance(inherited, str):
        yield Fix("inherit_label", f"Label it {inherited}, as what it was made from.",
                  lambda payload: {**payload, "label": inherited})  # fmt: skip
    yield from _leave_out(pointer, conflict, scene)


def _link(pointer: str, _conflict: Mapping[str, Any], scene: Scene) -> Iterable[Fix]:
    # Linking is the engine's own way out, which the resolution "merge" takes; a name can be another.
    return [rename(scene)] if pointer == "/name" else ()


def _gone(_pointer: str, _conflict: Mapping[str, Any], scene: Scene) -> Iterable[Fix]:
    return [rename(scene)]


def _leave_out(pointer: str, conflict: Mapping[str, Any], scene: Scene) -> Iterable[Fix]:
    field = edits.steps(pointer)[0]
    if field in ("type", "name", "content", "base_version"):
        return
    yield Fix(_DROPS.get(field, f"drop_{field}"), f"Leave out {_named(pointer, scene)}.",
              lambda payload: edits.without(payload, [pointer], scene.head, scene.head_content))  # fmt: skip


def _named(pointer: str, scene: Scene) -> str:
    """Return how a part of the declaration is called in a sentence."""
    path = edits.steps(pointer)
    try:
        part = edits.value_at(scene.payload, path)
    except KeyError:
        return pointer
    what = _PARTS.get(path[0], path[0])
    if isinstance(part, Mapping):
        name = part.get("artifact") or "/".join(str(part[key]) for key in ("type", "name") if part.get(key))
        return f"{what} {name} {part.get('specifier', '')}".rstrip() if name else pointer
    return f"{what} {part}" if isinstance(part, str) else f"{path[0].replace('_', ' ')} ({pointer})"


_PARTS = {"depends_on": "the dependency on", "requires": "the requirement", "claims": "the claim",
          "read_set": "the read of", "label": "the label"}  # fmt: skip
_DROPS = {"depends_on": "drop_dependency", "requires": "drop_requirement", "claims": "drop_claim",
          "read_set": "drop_read"}  # fmt: skip

#: Conflict class → what may help.
FIXES: Mapping[str, Callable[[str, Mapping[str, Any], Scene], Iterable[Fix]]] = {
    "version_mismatch": _stale,
    "parallel_creation": _stale,
    "content_conflict": _collides,
    "field_ownership": _owned,
    "missing_dependency": _missing,
    "unsatisfied_range": _range,
    "superseded_dependency": _range,
    "deprecated_dependency": _replaced,
    "blocked_dependency": _replaced,
    "constraint_conflict": _constraint,
    "read_set_changed": _reread,
    "duplicate_work": _link,
    "illegal_transition": _gone,
    "label_lowered": _label,
}
