"""Managed fields: would this change what another principal manages? Pure but for the look-ups.

Who names no fields must not overwrite managed ones either. An artifact without managers costs nothing: its head says
so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from metaqore.audit.tags import Tag
from metaqore.messages import AuditNote, Request, Write
from metaqore.psmp import ownership
from metaqore.psmp.catalogue import FIELD_OWNERSHIP
from metaqore.psmp.check_content import common_base
from metaqore.psmp.family import Family
from metaqore.psmp.holdings import Holds, SetFields, holds_in
from metaqore.psmp.model import Case, Conflict, Head
from metaqore.psmp.ownership import Clash, Field
from metaqore.psmp.traits import HEAD, OWNS
from metaqore.psmp.workspace import Workspace


class Managers:
    """Who manages what of the artifacts of a run, with the run's own changes."""

    def __init__(self, stored: Mapping[str, Sequence[Field]]) -> None:
        self._fields = dict(stored)

    def of(self, artifact: str) -> Sequence[Field]:
        """Return who manages what of an artifact."""
        return self._fields.get(artifact, ())

    def put(self, artifact: str, fields: Sequence[Field]) -> None:
        """Lay over what is known who manages what now."""
        self._fields[artifact] = fields


def prefetch(batch: Sequence[Request], workspace: Workspace) -> None:
    """Look up at once the managers of what a run declares, where there are any."""
    managed: set[str] = set()
    named = False
    for request in batch:
        declaration = request.studied.declaration
        named = named or bool(declaration.owns or declaration.force)
        head = workspace.head((request.project or "", declaration.type, declaration.name))
        if head is not None and head.holds & Holds.FIELDS:
            managed.add(head.id)
    if managed or named:
        workspace.remember(Managers(workspace.reads.fields(managed) if managed else {}))


def find(case: Case, workspace: Workspace) -> Iterable[Conflict]:
    """Compare the managed fields of others with what is declared."""
    known, head = workspace.memory(Managers), case.head
    if known is None or head is None:
        return ()
    fields = known.of(head.id)
    if not fields:
        return ()
    base = common_base(case)
    clashes = ownership.clashes(
        case.declaration.content, fields, case.request.principal, _pointers(case, case.declaration.force),
        base=None if base is None else lambda: workspace.content(head.id, base),
        present=lambda: workspace.content(head.id, head.head),
    )  # fmt: skip
    return [_conflict(case, clash) for clash in clashes]


def _pointers(case: Case, pointers: Iterable[str]) -> tuple[str, ...]:
    return tuple(ownership.canonical_pointer(case.declaration.content, pointer) for pointer in pointers)


def _conflict(case: Case, clash: Clash) -> Conflict:
    field = clash.field
    what = "removes" if clash.declared_hash is None else "changes"
    return case.found(
        FIELD_OWNERSHIP, f"{case.where} {what} {field.pointer or 'the whole content'}, which {field.manager} manages",
        f"/content{field.pointer}", field=field.pointer, manager=field.manager, value_hash=field.value_hash,
        declared_hash=clash.declared_hash, since_version=field.since,
    )  # fmt: skip


def admitted(case: Case, fresh: Head, workspace: Workspace) -> Iterable[Write]:
    """Keep who manages what of the version."""
    known, declaration = workspace.memory(Managers), case.declaration
    held = case.head is not None and bool(case.head.holds & Holds.FIELDS)
    if known is None or not (held or declaration.owns or declaration.force):
        return ()
    old = known.of(fresh.id)
    content = msgspec.json.decode(case.studied.content)
    owns = None if declaration.owns is None else _pointers(case, declaration.owns)
    taken = _pointers(case, declaration.force)
    fields = ownership.managed(content, old, case.request.principal, owns, taken, fresh.head)
    fields = fields if holds_in(case.policy, fresh.state) else []
    _tell(case, fresh, old, fields)
    known.put(fresh.id, fields)
    fresh.holds = fresh.holds | Holds.FIELDS if fields else fresh.holds
    return (SetFields(fresh.id, tuple(fields), fresh=not held),)


def _tell(case: Case, fresh: Head, old: Sequence[Field], new: Sequence[Field]) -> None:
    """Say in the answer what the author manages now, and on record what it took from whom."""
    me = case.request.principal
    kept = {(field.pointer, field.manager) for field in new}
    lost = [field for field in old if field.manager != me and (field.pointer, field.manager) not in kept]
    case.result["manages"] = [field.pointer for field in new if field.manager == me]
    if lost:
        case.provenance = {
            **case.provenance,
            "took_over": [
                {"field": field.pointer, "from": field.manager, "value_hash": field.value_hash} for field in lost
            ],
        }
        note = AuditNote(
            tag=Tag.FIELD_TAKEN_OVER, subject=fresh.id, outcome="approved", policy_digest=case.policy.digest,
            details={"version": fresh.head, "fields": len(lost)},
        )  # fmt: skip
        case.audit.append(note)


FAMILY = Family(rules=(FIELD_OWNERSHIP,), when=HEAD | OWNS, find=find, prefetch=prefetch, admitted=admitted)
