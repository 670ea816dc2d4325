"""Decides ``artifact.delete``: nothing is erased, the artifact becomes a tombstone that nothing should depend on.

While others depend on it, a deletion is refused unless it says what becomes of them: ``cascade`` deletes them too,
``deprecate`` leaves everything in place and deprecates the artifact instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from metaqore.audit.tags import Tag
from metaqore.errors import InvalidInput
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Verdict, failed
from metaqore.psmp.catalogue import DEPENDANTS_REMAIN, ILLEGAL_TRANSITION
from metaqore.psmp.gates import live_dependants
from metaqore.psmp.lifecycle import blocked, let_through, may_move, standing, state_effects, the_artifact
from metaqore.psmp.model import Conflict, Head, conflict_of
from metaqore.psmp.moves import Refused
from metaqore.psmp.policy import Policy
from metaqore.psmp.ports import PsmpReads
from metaqore.psmp.rules import Ruling, ruling_of

#: Most artifacts that one request deletes; a larger cascade is made in parts.
MAX_CASCADE = 1000
#: Most dependants that evidence names.
_SHOWN = 50


class Delete(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of ``artifact.delete``. ``authority`` is set by the door, from the caller's scopes."""

    artifact: str
    cascade: bool = False
    deprecate: bool = False
    #: The head that the caller has seen.
    if_match: int | None = None
    authority: tuple[str, ...] = ()


def study(request: Request) -> Delete:
    """Parse the payload.

    Raises:
        InvalidInput: not a valid deletion, or both ways are named.
    """
    try:
        asked = msgspec.convert(request.payload, Delete)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"artifact.delete: {error}") from error
    if asked.cascade and asked.deprecate:
        raise InvalidInput("artifact.delete: name either cascade or deprecate, not both")
    return asked


def delete(batch: Sequence[Request], reads: PsmpReads, now: int, *, policy: Policy) -> list[Outcome]:
    """Decide deletions. A run of them is one long: each must see what the one before it did."""
    return [_delete(request, request.studied, reads, now, policy) for request in batch]


def _delete(request: Request, asked: Delete, reads: PsmpReads, now: int, policy: Policy) -> Outcome:
    head = the_artifact(request, asked.artifact, reads)
    if head is None:
        return failed("not_found", f"artifact {asked.artifact} does not exist")
    if asked.if_match not in (None, head.head):
        message = f"artifact {head.id} is at version {head.head}, not {asked.if_match}: read it again"
        return failed("precondition_failed", message)
    to = _target(asked, policy)
    if to is None:
        return failed("invalid_input", "the policy has no state that this leads to")
    if head.state == to:
        return Outcome(verdict=Verdict.APPROVED, result={"artifact": _shown(head, to), "already": True})
    dependants = [] if asked.deprecate else live_dependants(head.id, reads, policy)
    if dependants and not asked.cascade:
        return _dependants_remain(request, asked, head, dependants, to, reads, now, policy)
    gone = [head, *(_all_above(head, dependants, reads, policy) if asked.cascade else ())]
    if len(gone) > MAX_CASCADE:
        message = f"more than {MAX_CASCADE} artifacts depend on {head.id}: delete some of them first"
        return failed("too_many_dependants", message)
    return _move_all(request, asked, gone, to, reads, now, policy)


def _target(asked: Delete, policy: Policy) -> str | None:
    """Return the state that the artifact is to get."""
    lifecycle = policy.artifact
    if not asked.deprecate:
        return next(iter(lifecycle.flagged("tombstone")), None)
    return next((name for name, state in lifecycle.states.items() if state.as_dependency == "deprecated"), None)


def _all_above(head: Head, dependants: Sequence[Head], reads: PsmpReads, policy: Policy) -> list[Head]:
    """Return everything that depends on the artifact, directly or not, the nearest first."""
    found: dict[str, Head] = {}
    level = list(dependants)
    while level and len(found) <= MAX_CASCADE:
        found.update((other.id, other) for other in level)
        ids = {above for _, above, _ in reads.up([other.id for other in level])} - found.keys() - {head.id}
        level = [h for h in reads.heads((), ids) if not policy.artifact.state(h.state).tombstone] if ids else []
    return list(found.values())


def _move_all(
    request: Request, asked: Delete, gone: Sequence[Head], to: str, reads: PsmpReads, now: int, policy: Policy
) -> Outcome:
    """Move the artifacts, or refuse where one of them may not be moved."""
    for head in gone:
        found = may_move(head, to, standing(request, head, asked.authority, reads), reads, policy)
        if isinstance(found, Refused):
            return _may_not(request, gone[0], head, to, found, reads, now, policy)
    deleted = policy.artifact.state(to).tombstone
    tag = Tag.ARTIFACT_DELETED if deleted else Tag.ARTIFACT_DEPRECATED
    kind = "artifact.deleted" if deleted else "artifact.updated"
    result: dict[str, Any] = {"artifact": _shown(gone[0], to), "policy_digest": policy.digest}
    if asked.cascade:
        result["cascaded"] = [_shown(head, to) for head in gone[1:]]
    return Outcome(
        verdict=Verdict.APPROVED,
        result=result,
        writes=[write for head in gone for write in state_effects(head, to, request.principal, now, policy)],
        audit=[
            AuditNote(tag=tag, subject=head.id, outcome="approved", policy_digest=policy.digest,
                      details={"from": head.state, "state": to, "because_of": gone[0].id})
            for head in gone
        ],
        events=[EventNote(kind, head.id, {"state": to, "version": head.head}) for head in gone],
    )  # fmt: skip


def _shown(head: Head, to: str) -> dict[str, object]:
    return {"id": head.id, "type": head.type, "name": head.name, "version": head.head, "state": to}


def _dependants_remain(
    request: Request,
    asked: Delete,
    head: Head,
    dependants: Sequence[Head],
    to: str,
    reads: PsmpReads,
    now: int,
    policy: Policy,
) -> Outcome:
    names = [{"id": other.id, "type": other.type, "name": other.name} for other in dependants[:_SHOWN]]
    message = (
        f"{len(dependants)} artifact{'s depend' if len(dependants) > 1 else ' depends'} on {head.type}/{head.name}, "
        f"e.g. {dependants[0].type}/{dependants[0].name}: say cascade=true to delete them too, or deprecate=true"
    )
    conflict = conflict_of(
        policy, DEPENDANTS_REMAIN, message, "", artifact=head.id, dependants=names, count=len(dependants)
    )  # fmt: skip
    mode = reads.projects([head.project])[head.project].mode
    if ruling_of(mode, conflict.rule) is Ruling.ADMIT:
        outcome = _move_all(request, asked, [head], to, reads, now, policy)
        allowed = outcome.error is None and outcome.verdict is Verdict.APPROVED
        return let_through(outcome, conflict, request, head, mode, now) if allowed else outcome
    report = _report(head, conflict)
    report["ways"] = [
        {"summary": f"delete it and all {len(dependants)} that depend on it, and what depends on those",
         "method": "DELETE", "url": f"/api/v1/artifacts/{head.id}?cascade=true"},
        {"summary": "leave it in place as deprecated", "method": "DELETE",
         "url": f"/api/v1/artifacts/{head.id}?deprecate=true"},
    ]  # fmt: skip
    return blocked(report, conflict, request, head, mode, now, policy)


def _may_not(
    request: Request, first: Head, head: Head, to: str, refused: Refused, reads: PsmpReads, now: int, policy: Policy
) -> Outcome:
    if refused.needs:
        return failed("forbidden", refused.message)
    conflict = conflict_of(
        policy, ILLEGAL_TRANSITION, refused.message, "", artifact=head.id, state=head.state, to=to,
        legal=list(refused.legal),
    )  # fmt: skip
    mode = reads.projects([head.project])[head.project].mode
    return blocked(_report(first, conflict), conflict, request, first, mode, now, policy)


def _report(head: Head, conflict: Conflict) -> dict[str, object]:
    artifact = {"id": head.id, "type": head.type, "name": head.name}
    return {"project": head.project, "artifact": artifact, "conflicts": [conflict.shown()]}
