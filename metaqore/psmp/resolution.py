"""Decides ``conflict.resolve``: each strategy has an effect, an authority, an audit entry and an event.

retry      look at the blocked declaration again, against what is there now; a stale base is merged if that is clean
merge      merge it with the head, three-way; blocked again where changes collide
override   admit it over the conflict; needs the scope ``conflicts:override`` and a reason
escalate   hand it to a person: an approval is opened, bound to this content and head; other work goes on around it
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from metaqore.audit.tags import Tag
from metaqore.errors import InvalidInput
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Verdict, failed
from metaqore.psmp import approvals, proposals
from metaqore.psmp.again import decide_again
from metaqore.psmp.approvals import EXPIRES_S, OVERRIDE_SCOPE, ApprovalReads, Ask
from metaqore.psmp.conditions import head_of, or_unmet, unmet
from metaqore.psmp.effects import ResolveConflicts
from metaqore.psmp.policy import Policy
from metaqore.psmp.proposals import Proposal


class Resolve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of ``conflict.resolve``. ``authority`` is set by the door, from the caller's scopes."""

    conflict: str
    strategy: Literal["retry", "merge", "override", "escalate"] = "retry"
    reason: str = ""
    authority: tuple[str, ...] = ()
    #: Of an escalation: how long a person has to answer, in seconds.
    expires_in_s: Annotated[int, msgspec.Meta(ge=60, le=30 * 86_400)] = EXPIRES_S
    #: The head that the caller has seen; see ``conditions``.
    if_match: int | None = None


def study(request: Request) -> Resolve:
    """Parse the payload.

    Raises:
        InvalidInput: not a valid resolution; override without a reason.
    """
    try:
        resolve = msgspec.convert(request.payload, Resolve)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"conflict.resolve: {error}") from error
    if resolve.strategy == "override" and not resolve.reason.strip():
        raise InvalidInput("conflict.resolve: override needs a reason; it is kept with the version")
    return resolve


def resolve(batch: Sequence[Request], reads: ApprovalReads, now: int, *, policy: Policy) -> list[Outcome]:
    """Decide resolutions. A run of them is one long: each must see what the one before it did."""
    return [or_unmet(request.studied, _resolve(request, request.studied, reads, now, policy)) for request in batch]


def _resolve(request: Request, asked: Resolve, reads: ApprovalReads, now: int, policy: Policy) -> Outcome:
    row = reads.conflict(request.organization, asked.conflict)
    if row is None or row["project"] != request.project:
        return failed("not_found", f"conflict {asked.conflict} does not exist")
    if row["state"] not in ("open", "escalated"):
        return failed("already_resolved", f"conflict {asked.conflict} is {row['state']} by {row['resolution']}")
    proposal = reads.proposal(request.organization, row["proposal"])
    if proposal is None:
        return failed("not_found", f"conflict {asked.conflict} blocks nothing")
    moved = unmet(asked.if_match, head_of(reads, proposal.project, proposal), proposal)
    if moved is not None:
        return moved
    if asked.strategy == "escalate":
        return _escalate(request, asked, proposal, reads, now)
    if asked.strategy == "override" and OVERRIDE_SCOPE not in asked.authority:
        return failed("forbidden", f"override needs the scope {OVERRIDE_SCOPE}")
    return _decide_again(request, asked, proposal, reads, now, policy)


def _escalate(request: Request, asked: Resolve, proposal: Proposal, reads: ApprovalReads, now: int) -> Outcome:
    """Ask a person about the whole proposal: what is admitted, is admitted over all of its conflicts."""
    base = {
        "head_version": head_of(reads, proposal.project, proposal),
        "conflicts": sorted([*proposals.cause(conflict)] for conflict in proposal.conflicts),
    }
    question = Ask(
        subject_kind=approvals.PROPOSAL, subject=proposal.id, content_hash=proposals.content_hash(proposal.payload),
        author=proposal.author, base=base, reason=asked.reason, expires_in_s=asked.expires_in_s,
    )  # fmt: skip
    ids = tuple(conflict["id"] for conflict in proposal.conflicts)
    outcome = Outcome(verdict=Verdict.APPROVED)
    approval = approvals.ask(request, question, reads, now, outcome)
    outcome.writes.append(ResolveConflicts(ids, "escalated", "escalate", request.principal, now))
    outcome.audit += [
        AuditNote(tag=Tag.CONFLICT_ESCALATED, subject=conflict, outcome="escalated",
                  details={"approval": approval["id"]}) for conflict in ids
    ]  # fmt: skip
    outcome.events += [EventNote("conflict.escalated", conflict, {"by": request.principal}) for conflict in ids]
    outcome.result = {"conflict": {"id": asked.conflict, "state": "escalated"}, "approval": approval}
    return outcome


def _decide_again(
    request: Request, asked: Resolve, proposal: Proposal, reads: ApprovalReads, now: int, policy: Policy
) -> Outcome:
    provenance = {"resolution": asked.strategy, "resolved_by": request.principal, "conflict": asked.conflict}
    if asked.strategy == "override":
        provenance["reason"] = asked.reason
    over = asked.strategy == "override"
    outcome = decide_again(request, proposal, reads, now, policy=policy, over_conflicts=over, provenance=provenance)
    if outcome.error is not None:
        return outcome
    if outcome.verdict is not Verdict.APPROVED:
        note = AuditNote(
            tag=Tag.CONFLICT_RESOLVED, subject=asked.conflict, outcome="blocked", details={"strategy": asked.strategy}
        )
        outcome.audit.append(note)
        return outcome
    proposals.close(outcome, proposal, "admitted", asked.strategy, request, now)
    return outcome
