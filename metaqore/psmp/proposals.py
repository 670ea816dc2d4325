"""Blocked proposals: what is known of them, what closes them, and their withdrawal by their author. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from metaqore.audit.tags import Tag
from metaqore.canonical import canonical_json, sha256_hex
from metaqore.errors import InvalidInput
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Verdict, failed
from metaqore.psmp.conditions import CONDITIONS, head_of, or_unmet, unmet
from metaqore.psmp.effects import Change, CloseProposal, ResolveConflicts
from metaqore.psmp.ports import PsmpReads

#: What names a conflict from one decision to the next: its class, and the JSON pointer of its cause.
Cause = tuple[str, str]


class Proposal(msgspec.Struct, kw_only=True):
    """A declaration that was kept. ``conflicts`` are the unresolved ones: {"id", "class", "evidence"}."""

    id: str
    organization: str
    project: str
    type: str
    name: str
    state: str
    author: str
    request: str
    payload: Mapping[str, Any]
    conflicts: Sequence[Mapping[str, Any]]
    #: The approval that is open for it.
    approval: str | None


class ProposalReads(PsmpReads, Protocol):
    """Look-ups of proposals, inside the deciding transaction."""

    def proposal(self, organization: str, proposal: str) -> Proposal | None:
        """Return a proposal with the payload of its request."""


class CloseApproval(Change, frozen=True):
    """Effect: an approval that is open is answered, or nobody needs an answer any more."""

    id: str
    state: Literal["approved", "denied", "expired", "withdrawn"]
    by: str
    answer: str
    at: int


class Withdraw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of ``proposal.withdraw``."""

    proposal: str
    reason: str = ""
    if_match: int | None = None


def study_withdraw(request: Request) -> Withdraw:
    """Parse ``proposal.withdraw``.

    Raises:
        InvalidInput: it names no proposal.
    """
    try:
        return msgspec.convert(request.payload, Withdraw)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"proposal.withdraw: {error}") from error


def withdraw(batch: Sequence[Request], reads: ProposalReads, now: int) -> list[Outcome]:
    """Close blocked proposals at the wish of their authors; nothing is admitted."""
    return [or_unmet(request.studied, _withdraw(request, request.studied, reads, now)) for request in batch]


def _withdraw(request: Request, asked: Withdraw, reads: ProposalReads, now: int) -> Outcome:
    proposal = reads.proposal(request.organization, asked.proposal)
    if proposal is None or proposal.project != request.project:
        return failed("not_found", f"proposal {asked.proposal} does not exist")
    if proposal.state != "blocked":
        return failed("already_resolved", f"proposal {proposal.id} is {proposal.state}")
    if proposal.author != request.principal:
        return failed("forbidden", f"proposal {proposal.id} is {proposal.author}'s, who alone may withdraw it")
    moved = unmet(asked.if_match, head_of(reads, proposal.project, proposal), proposal)
    if moved is not None:
        return moved
    outcome = Outcome(verdict=Verdict.APPROVED)
    outcome.audit.append(
        AuditNote(tag=Tag.PROPOSAL_WITHDRAWN, subject=proposal.id, outcome="withdrawn")
    )  # fmt: skip
    outcome.events.append(EventNote("proposal.withdrawn", proposal.id, {"type": proposal.type, "name": proposal.name}))
    close(outcome, proposal, "withdrawn", "withdraw", request, now)
    outcome.result = {"proposal": {"id": proposal.id, "state": "withdrawn"}}
    return outcome


def declared(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was declared, without the conditions that it was sent under."""
    return {name: value for name, value in payload.items() if name not in CONDITIONS}


def content_hash(payload: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of a whole declaration: content, base, dependencies, label and all."""
    return sha256_hex(canonical_json(declared(payload)))


def cause(conflict: Mapping[str, Any]) -> Cause:
    """Return what a conflict, as it is shown or stored, is about."""
    return conflict["class"], conflict["evidence"].get("pointer", "")


def close(
    outcome: Outcome,
    proposal: Proposal,
    state: Literal["admitted", "withdrawn", "denied"],
    how: str,
    request: Request,
    now: int,
) -> None:
    """Add to ``outcome`` what closes a proposal, all its conflicts, and the question that is open about it."""
    ids = tuple(conflict["id"] for conflict in proposal.conflicts)
    outcome.writes += [
        CloseProposal(proposal.id, state, now),
        ResolveConflicts(ids, "resolved", how, request.principal, now),
    ]
    if proposal.approval is not None and how not in ("escalate", "deny"):
        outcome.writes.append(CloseApproval(proposal.approval, "withdrawn", request.principal, how, now))
        outcome.audit.append(
            AuditNote(tag=Tag.APPROVAL_ENDED, subject=proposal.approval, outcome="withdrawn", details={"by": how})
        )
        outcome.events.append(EventNote("approval.withdrawn", proposal.approval, {"subject": proposal.id}))
    outcome.audit += [
        AuditNote(tag=Tag.CONFLICT_RESOLVED, subject=conflict, outcome="resolved", details={"strategy": how})
        for conflict in ids
    ]
    outcome.events += [EventNote("conflict.resolved", conflict, {"strategy": how}) for conflict in ids]
    outcome.result = {**outcome.result, "resolved": list(ids), "strategy": how}
    if "conflicts" in outcome.result:
        known = {cause(conflict) for conflict in proposal.conflicts}
        fresh = [conflict for conflict in outcome.result["conflicts"] if cause(conflict) not in known]
        rest = {name: value for name, value in outcome.result.items() if name != "conflicts"}
        outcome.result = {**rest, "conflicts": fresh} if fresh else rest


def reopen(outcome: Outcome, proposal: Proposal | None, now: int) -> None:
    """Add to ``outcome`` what makes the escalated conflicts of a proposal open again."""
    if proposal is not None and proposal.state == "blocked":
        ids = tuple(conflict["id"] for conflict in proposal.conflicts)
        outcome.writes.append(ResolveConflicts(ids, "open", None, None, now))
