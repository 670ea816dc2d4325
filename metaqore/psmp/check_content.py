"""What was changed on both sides: the three-way merge with the present head, and the way out by it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from metaqore.psmp.catalogue import CONTENT_CONFLICT
from metaqore.psmp.declaration import studied
from metaqore.psmp.family import Family, Resolved
from metaqore.psmp.merge_declared import Collision, merge_declared
from metaqore.psmp.model import Case, Conflict, Declaration, Head
from metaqore.psmp.resolve import merge_contents
from metaqore.psmp.traits import BASE
from metaqore.psmp.workspace import Workspace

#: Most hunks that a conflict keeps as evidence; how many there are is told beside them.
MAX_HUNKS = 50


def find(case: Case, workspace: Workspace) -> Iterable[Conflict]:
    """Merge with the head where this started from an older version; where changes collide, say which."""
    base = common_base(case)
    if base is None or case.head is None:
        return ()
    head = case.head
    merged = merge_contents(
        workspace.content(head.id, base), workspace.content(head.id, head.head), case.declaration.content
    )  # fmt: skip
    case.merged = merged
    if not merged.clean:
        return (_collision(case, head, merged.hunks),)
    bodies = workspace.body(head.id, base), workspace.body(head.id, head.head)
    try:
        declared = merge_declared(*bodies, case.declaration)
    except Collision as collision:
        hunk = {"type": "edit/edit", "pointer": collision.pointer}
        case.merged = msgspec.structs.replace(merged, clean=False, hunks=[hunk])
        return (_collision(case, head, [hunk], pointer=collision.pointer),)
    case.merged = msgspec.structs.replace(merged, declared=declared)
    return ()


def common_base(case: Case) -> int | None:
    """Return the version that both the head and the declaration started from; None where there is no older one."""
    base = case.declaration.base_version or 0
    return base if case.head is not None and 0 < base < case.head.head else None


def _collision(
    case: Case, head: Head, hunks: Sequence[Mapping[str, Any]], *, pointer: str | None = None
) -> Conflict:  # fmt: skip
    first = hunks[0].get("pointer", "") if hunks else ""
    where = f"{len(hunks)} place{'s' if len(hunks) != 1 else ''}"
    message = f"{case.where}: what this changes was changed by version {head.head} as well, in {where}"
    return case.found(
        CONTENT_CONFLICT, message, pointer or f"/content{first}", base_version=case.declaration.base_version,
        head_version=head.head, hunk_count=len(hunks), hunks=list(hunks[:MAX_HUNKS]),
    )  # fmt: skip


def resolve_by_merge(case: Case, conflicts: Sequence[Conflict], workspace: Workspace) -> Resolved | None:
    """Return the merge with the head as the way out of a stale base; None where changes collide or there is no base.

    Where nothing was changed on both sides, the change is made on top of the head: it is rebased.
    """
    head, merged = case.head, case.merged
    if head is None:
        return None
    provenance = {"merged_by": "adaptive", "parents": [
        {"version": head.head, "content_hash": head.content_hash},
        {"request": case.request.id, "base_version": case.declaration.base_version or 0,
         "content_hash": case.studied.content_hash},
    ]}  # fmt: skip
    if merged is None:
        # Started from nothing, or from another history: only the same content fits.
        same = head.content_hash == case.studied.content_hash
        return Resolved(how="merged", provenance=provenance) if same else None
    if not merged.clean:
        return None
    declared = merged.declared or case.declaration
    made = studied(msgspec.structs.replace(declared, content=merged.content))
    made = msgspec.structs.replace(made, looked=case.studied.looked)
    dependencies = _dependencies(case, declared, workspace)
    how = "rebased" if merged.disjoint else "merged"
    return Resolved(how=how, studied=made, dependencies=dependencies, provenance=provenance)


def _dependencies(case: Case, declared: Declaration, workspace: Workspace) -> list[Head]:
    """Return the dependencies that stay: sound ones of the declaration, and those that the head has gained since.

    The latter are edges of the head already, so that none of them closes a cycle.
    """
    if declared.depends_on == case.declaration.depends_on:
        return case.dependencies
    said = {*case.declaration.depends_on}
    gained = workspace.look_up(case.project.id, [d for d in declared.depends_on if d not in said])
    sound = {target.id for target in case.dependencies}
    kept = {target.id: target for target in workspace.look_up(case.project.id, declared.depends_on)}
    edges = {below for _, below, _ in workspace.down([case.artifact])}
    gained_edges = {target.id for target in gained} & edges
    return [target for target in kept.values() if target.id in sound or target.id in gained_edges]


FAMILY = Family(rules=(CONTENT_CONFLICT,), when=BASE, find=find)
