"""Decides ``artifact.transition``: moves along the lifecycle. Returns outcomes; writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from metaqore.audit.tags import Tag
from metaqore.errors import InvalidInput
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Verdict, Write, failed
from metaqore.psmp.catalogue import ILLEGAL_TRANSITION, Mode
from metaqore.psmp.effects import SetArtifactState
from metaqore.psmp.gates import artifact_gate
from metaqore.psmp.holdings import released
from metaqore.psmp.model import Conflict, Head, conflict_of
from metaqore.psmp.moves import Refused, ask, roles
from metaqore.psmp.outcomes import conflict_row
from metaqore.psmp.policy import Move, Policy
from metaqore.psmp.ports import PsmpReads
from metaqore.psmp.regain import regained
from metaqore.psmp.rules import Ruling, ruling_of


class Transition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of ``artifact.transition``. ``authority`` is set by the door, from the caller's scopes."""

    artifact: str
    to: str
    authority: tuple[str, ...] = ()


def study(request: Request) -> Transition:
    """Parse the payload.

    Raises:
        InvalidInput: not a valid transition.
    """
    try:
        return msgspec.convert(request.payload, Transition)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"artifact.transition: {error}") from error


def transition(batch: Sequence[Request], reads: PsmpReads, now: int, *, policy: Policy) -> list[Outcome]:
    """Move artifacts along their lifecycle. A run is one long: each must see what the one before it did."""
    return [_transition(request, request.studied, reads, now, policy) for request in batch]


def _transition(request: Request, asked: Transition, reads: PsmpReads, now: int, policy: Policy) -> Outcome:
    head = the_artifact(request, asked.artifact, reads)
    if head is None:
        return failed("not_found", f"artifact {asked.artifact} does not exist")
    held = standing(request, head, asked.authority, reads)
    found = may_move(head, asked.to, held, reads, policy)
    if isinstance(found, Move) and policy.artifact.state(asked.to).tombstone:
        found = Refused(message=f"artifact {head.id} is deleted by DELETE, not by a move", legal=())
    if isinstance(found, Move):
        return _moved(request, head, asked.to, reads, now, policy)
    if found.needs:
        return failed("forbidden", found.message)
    mode = reads.projects([head.project])[head.project].mode
    return _refused(request, head, asked.to, found, mode, reads, now, policy)


def the_artifact(request: Request, artifact: str, reads: PsmpReads) -> Head | None:
    """Return an artifact of the request's project."""
    head = next(iter(reads.heads((), [artifact])), None)
    return head if head is not None and head.project == request.project else None


def standing(request: Request, head: Head, authority: Sequence[str], reads: PsmpReads) -> set[str]:
    """Return the scopes of the principal and its roles towards the artifact."""
    project = reads.project_row(request.organization, head.project) or {"owner": ""}
    return {*authority, *roles("artifact", request.principal, owner=project["owner"], creator=head.created_by)}


def may_move(head: Head, to: str, held: set[str], reads: PsmpReads, policy: Policy) -> Move | Refused:
    """Return the move, or why it may not be made."""
    found = ask(policy.artifact, f"artifact {head.id}", head.state, to, held=held)
    if isinstance(found, Move):
        return artifact_gate(found, head, reads, policy) or found
    return found


def state_effects(head: Head, to: str, principal: str, now: int, policy: Policy) -> list[Write]:
    """Return the effects of a move: what nobody should depend on holds nothing any more."""
    return [SetArtifactState(head.id, to, principal, now), *released(policy, head, to)]


def _moved(request: Request, head: Head, to: str, reads: PsmpReads, now: int, policy: Policy) -> Outcome:
    again = regained(policy, head, to, lambda: reads.body(head.id, head.head), request)
    deprecated = policy.artifact.state(to).as_dependency == "deprecated"
    return Outcome(
        verdict=Verdict.APPROVED,
        result={"artifact": {"id": head.id, "version": head.head, "state": to}, "policy_digest": policy.digest},
        writes=[*state_effects(head, to, request.principal, now, policy), *again],
        audit=[
            AuditNote(tag=Tag.ARTIFACT_DEPRECATED if deprecated else Tag.ARTIFACT_CHANGED, subject=head.id,
                      outcome="approved", details={"from": head.state, "state": to}, policy_digest=policy.digest)
        ],
        events=[EventNote("artifact.updated", head.id, {"state": to})],
    )  # fmt: skip


def _refused(
    request: Request, head: Head, to: str, refused: Refused, mode: Mode, reads: PsmpReads, now: int, policy: Policy
) -> Outcome:
    """Return what becomes of a move that the lifecycle does not allow: refused, or in playground let through."""
    conflict = conflict_of(
        policy, ILLEGAL_TRANSITION, refused.message, "/to", artifact=head.id, state=head.state, to=to,
        legal=list(refused.legal), **({"check": refused.check} if refused.check else {}),
    )  # fmt: skip
    known = to in policy.artifact.states and not policy.artifact.state(to).tombstone
    if known and ruling_of(mode, conflict.rule) is Ruling.ADMIT:
        outcome = _moved(request, head, to, reads, now, policy)
        return let_through(outcome, conflict, request, head, mode, now)
    report = {"project": head.project, "conflicts": [conflict.shown()], "illegal_transition": {
        "artifact": head.id, "from": head.state, "to": to, "legal": list(refused.legal)}}  # fmt: skip
    return blocked(report, conflict, request, head, mode, now, policy)


def let_through(outcome: Outcome, conflict: Conflict, request: Request, head: Head, mode: Mode, now: int) -> Outcome:
    """Add to an outcome the record of a conflict that the mode lets through."""
    outcome.writes.append(
        conflict_row(conflict, request, head.project, mode, "recorded", now, resolution="let_through", artifact=head.id)
    )
    outcome.result = {**outcome.result, "conflicts": [{**conflict.shown(), "resolution": "let_through"}],
                      "would_have": {"strict": "blocked"}}  # fmt: skip
    return outcome


def blocked(
    report: Mapping[str, object], conflict: Conflict, request: Request, head: Head, mode: Mode, now: int, policy: Policy
) -> Outcome:
    """Return the refusal of what is not kept as a proposal; its conflict is recorded, and stays in nobody's way."""
    row = conflict_row(conflict, request, head.project, mode, "recorded", now, resolution="refused", artifact=head.id)
    rule = conflict.rule
    return Outcome(
        verdict=Verdict.BLOCKED,
        result={"blocking_report": {**report, "policy_digest": policy.digest}},
        writes=[row],
        audit=[
            AuditNote(tag=Tag.ARTIFACT_BLOCKED, subject=head.id, outcome=rule.conflict_class,
                      policy_digest=policy.digest),
        ],
        events=[EventNote("conflict.detected", conflict.id,
                          {"class": rule.conflict_class, "severity": rule.severity.value})],
    )  # fmt: skip
