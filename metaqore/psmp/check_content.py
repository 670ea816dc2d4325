"""Contents that were changed on both sides: the three-way merge with the present head, and the way out by it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from metaqore.canonical import canonical_json, sha256_hex
from metaqore.psmp.catalogue import CONTENT_CONFLICT
from metaqore.psmp.family import Family, Resolved
from metaqore.psmp.model import Case, Conflict, Head, Studied
from metaqore.psmp.resolve import merge_contents
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
    return () if merged.clean else (_collision(case, head, merged.hunks),)


def common_base(case: Case) -> int | None:
    """Return the version that both the head and the declaration started from; None where there is no older one."""
    base = case.declaration.base_version or 0
    return base if case.head is not None and 0 < base < case.head.head else None


def _collision(case: Case, head: Head, hunks: Sequence[Mapping[str, Any]]) -> Conflict:
    first = hunks[0].get("pointer", "") if hunks else ""
    where = f"{len(hunks)} place{'s' if len(hunks) != 1 else ''}"
    message = f"{case.where}: what this changes was changed in version {head.head} as well, in {where}"
    return case.found(
        CONTENT_CONFLICT, message, f"/content{first}", base_version=case.declaration.base_version,
        head_version=head.head, hunk_count=len(hunks), hunks=list(hunks[:MAX_HUNKS]),
    )  # fmt: skip


def resolve_by_merge(case: Case, conflicts: Sequence[Conflict], workspace: Workspace) -> Resolved | None:
    """Return the merge with the head as the way out of a stale base; None where changes collide or there is no base."""
    head, declaration = case.head, case.declaration
    if head is None:
        return None
    if case.merged is None:
        if head.content_hash != case.studied.content_hash:
            return None
        content, how = declaration.content, "merged"
    elif not case.merged.clean:
        return None
    else:
        content, how = case.merged.content, "rebased" if case.merged.disjoint else "merged"
    text = canonical_json(content)
    provenance = {"merged_by": "adaptive", "parents": [
        {"version": head.head, "content_hash": head.content_hash},
        {"request": case.request.id, "base_version": declaration.base_version or 0,
         "content_hash": case.studied.content_hash},
    ]}  # fmt: skip
    studied = Studied(declaration, text.decode(), sha256_hex(text), case.studied.body)
    return Resolved(how=how, studied=studied, provenance=provenance)


FAMILY = Family(rules=(CONTENT_CONFLICT,), find=find)
