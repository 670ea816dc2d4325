"""Approvals: a decision that is handed to a person, bound to the very content that was shown.

``approval.open``    a feature asks (as a follow-up); ``conflict.resolve`` with ``escalate`` does the same in place
``approval.answer``  a person approves or denies; whoever wrote the content may not approve it, and whoever handed it on
                     only with the authority to override
``approval.expire``  nobody answered in time; asked for by the sweep

An approved proposal is admitted in the same commit as the answer: this content, on the head that was there when it was
asked for, over the conflicts that were known then. Where any of that has changed, the answer is ``precondition_failed``
and the question stays open. For other kinds of subject the answer is recorded and announced, and the feature that
asked looks it up by kind, subject and hash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from metaqore.audit.tags import Tag
from metaqore.clock import to_rfc3339
from metaqore.errors import InvalidInput
from metaqore.ids import new_id
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Verdict, failed
from metaqore.psmp import proposals
from metaqore.psmp.again import decide_again
from metaqore.psmp.effects import Change
from metaqore.psmp.policy import Policy
from metaqore.psmp.proposals import CloseApproval, Proposal, ProposalReads

ANSWER_SCOPE, OVERRIDE_SCOPE = "approvals:answer", "conflicts:override"
#: How long a person has to answer, in seconds, where the question does not say.
EXPIRES_S = 86_400
PROPOSAL = "proposal"
#: How an approval ends.
End = Literal["approved", "denied", "expired", "withdrawn"]
Payload = TypeVar("Payload")


class Approval(msgspec.Struct, kw_only=True):
    """One question. Times in milliseconds; ``base`` is the state of the world in which it was asked."""

    id: str
    organization: str
    project: str | None
    subject_kind: str
    subject: str
    content_hash: str
    base: Mapping[str, Any]
    needed_scope: str
    reason: str
    state: str
    author: str
    requested_by: str
    expires_at: int


class ApprovalReads(ProposalReads, Protocol):
    """Look-ups of approvals, inside the deciding transaction."""

    def approval(self, organization: str, approval: str) -> Approval | None:
        """Return an approval."""

    def open_approval(self, organization: str, subject_kind: str, subject: str) -> Approval | None:
        """Return the approval that is open for a subject."""


class OpenApproval(Change, frozen=True):
    """Effect: a question is put to a person. ``base`` is JSON text."""

    id: str
    organization: str
    project: str | None
    subject_kind: str
    subject: str
    content_hash: str
    base: str
    needed_scope: str
    reason: str
    author: str
    requested_by: str
    expires_at: int
    at: int


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The payload of ``approval.open``. ``content_hash`` is the SHA-256 (hex) of what would be let through."""

    subject_kind: str
    subject: str
    content_hash: str
    author: str
    base: dict[str, Any] = {}
    needed_scope: str = ANSWER_SCOPE
    reason: str = ""
    expires_in_s: int = EXPIRES_S


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The payload of ``approval.answer``; ``authority`` is set by the door, from the caller's scopes."""

    approval: str
    answer: Literal["approve", "deny"]
    reason: str = ""
    #: What the person was shown; another one is refused.
    content_hash: str | None = None
    authority: tuple[str, ...] = ()


class Expire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of ``approval.expire``."""

    approval: str


def study_ask(request: Request) -> Ask:
    """Parse ``approval.open``.

    Raises:
        InvalidInput: not a valid question.
    """
    return _parsed(request, Ask)


def study_answer(request: Request) -> Answer:
    """Parse ``approval.answer``.

    Raises:
        InvalidInput: not a valid answer.
    """
    return _parsed(request, Answer)


def study_expire(request: Request) -> Expire:
    """Parse ``approval.expire``.

    Raises:
        InvalidInput: it names no approval.
    """
    return _parsed(request, Expire)


def _parsed(request: Request, kind: type[Payload]) -> Payload:
    try:
        return msgspec.convert(request.payload, kind)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{request.kind}: {error}") from error


def open_approval(batch: Sequence[Request], reads: ApprovalReads, now: int) -> list[Outcome]:
    """Put questions to a person. One that is open already, about the same content, stays as it is."""
    outcomes = []
    for request in batch:
        outcome = Outcome(verdict=Verdict.APPROVED)
        outcome.result = {"approval": ask(request, request.studied, reads, now, outcome)}
        outcomes.append(outcome)
    return outcomes


def ask(request: Request, asked: Ask, reads: ApprovalReads, now: int, outcome: Outcome) -> dict[str, Any]:
    """Add to ``outcome`` what opens an approval; return it as callers see it."""
    known = reads.open_approval(request.organization, asked.subject_kind, asked.subject)
    same = known is not None and known.content_hash == asked.content_hash and (
        asked.subject_kind != PROPOSAL or dict(known.base) == asked.base
    )  # fmt: skip
    if known is not None and same and known.expires_at > now:
        return shown(known)
    if known is not None:
        # The world, or the content, is another one: what was asked then says nothing about it.
        close_approval(outcome, known, "expired" if known.expires_at <= now else "withdrawn", "", request, now)
    approval = Approval(
        id=new_id("appr"), organization=request.organization, project=request.project,
        subject_kind=asked.subject_kind, subject=asked.subject, content_hash=asked.content_hash, base=asked.base,
        needed_scope=asked.needed_scope, reason=asked.reason, state="open", author=asked.author,
        requested_by=request.principal, expires_at=now + asked.expires_in_s * 1000,
    )  # fmt: skip
    outcome.writes.append(
        OpenApproval(
            approval.id, approval.organization, approval.project, approval.subject_kind, approval.subject,
            approval.content_hash, msgspec.json.encode(approval.base).decode(), approval.needed_scope,
            approval.reason, approval.author, approval.requested_by, approval.expires_at, now,
        )
    )  # fmt: skip
    outcome.audit.append(
        AuditNote(tag=Tag.APPROVAL_REQUESTED, subject=approval.id, outcome="open",
                  details={"subject": approval.subject, "content": approval.content_hash})
    )  # fmt: skip
    outcome.events.append(
        EventNote("approval.requested", approval.id, {"kind": approval.subject_kind, "subject": approval.subject})
    )
    return shown(approval)


def shown(approval: Approval) -> dict[str, Any]:
    """Return an approval as the result of a request shows it."""
    return {
        "id": approval.id,
        "subject_kind": approval.subject_kind,
        "subject": approval.subject,
        "content_hash": approval.content_hash,
        "needs_scope": approval.needed_scope,
        "state": approval.state,
        "expires_at": to_rfc3339(approval.expires_at),
    }


def close_approval(outcome: Outcome, approval: Approval, state: End, reason: str, request: Request, now: int) -> None:
    """Add to ``outcome`` what ends an open approval."""
    tag = {"approved": Tag.APPROVAL_GRANTED, "denied": Tag.APPROVAL_REFUSED}.get(state, Tag.APPROVAL_ENDED)
    outcome.writes.append(CloseApproval(approval.id, state, request.principal, reason, now))
    outcome.audit.append(
        AuditNote(tag=tag, subject=approval.id, outcome=state,
                  details={"subject": approval.subject, "content": approval.content_hash})
    )  # fmt: skip
    outcome.events.append(EventNote(f"approval.{state}", approval.id, {"subject": approval.subject}))


def answer(batch: Sequence[Request], reads: ApprovalReads, now: int, *, policy: Policy) -> list[Outcome]:
    """Decide answers, one at a time: each must see what the one before it did."""
    return [_answer(request, request.studied, reads, now, policy) for request in batch]


def _answer(request: Request, asked: Answer, reads: ApprovalReads, now: int, policy: Policy) -> Outcome:
    approval = reads.approval(request.organization, asked.approval)
    if approval is None or approval.project != request.project:
        return failed("not_found", f"approval {asked.approval} does not exist")
    refused = _may_not(request, asked, approval, now)
    if refused is not None:
        return refused
    if approval.subject_kind == PROPOSAL:
        proposal = reads.proposal(request.organization, approval.subject)
        if proposal is None or proposal.state != "blocked":
            return failed("already_resolved", f"proposal {approval.subject} is not blocked any more")
        if asked.answer == "approve":
            return _admit(request, asked, approval, proposal, reads, now, policy)
        return _refuse(request, asked, approval, proposal, reads, now)
    state: End = "approved" if asked.answer == "approve" else "denied"
    outcome = Outcome(verdict=Verdict.APPROVED)
    close_approval(outcome, approval, state, asked.reason, request, now)
    approval.state = state
    outcome.result = {"approval": shown(approval)}
    return outcome


def _may_not(request: Request, asked: Answer, approval: Approval, now: int) -> Outcome | None:
    """Return the refusal of an answer that this caller may not give, or not any more."""
    if approval.state != "open":
        return failed("already_answered", f"approval {approval.id} is {approval.state}")
    if approval.expires_at <= now:
        return failed("approval_expired", f"approval {approval.id} has expired: escalate the conflict again")
    if approval.needed_scope not in asked.authority:
        return failed("forbidden", f"answering approval {approval.id} needs the scope {approval.needed_scope}")
    # A token that somebody has delegated (``owner/agent``) is no second person.
    if asked.answer == "approve" and f"{request.principal}/".startswith(f"{approval.author}/"):
        return failed("forbidden", f"{request.principal} wrote what approval {approval.id} is about: another must")
    # Asking and answering alone would be an override without its scope.
    asks = f"{request.principal}/".startswith(f"{approval.requested_by}/") and OVERRIDE_SCOPE not in asked.authority
    if asked.answer == "approve" and asks:
        message = (
            f"{request.principal} asked for approval {approval.id}: another must answer it, or override the conflict"
        )
        return failed("forbidden", f"{message}, which needs the scope {OVERRIDE_SCOPE}")
    if asked.content_hash not in (None, approval.content_hash):
        return failed(
            "precondition_failed",
            f"approval {approval.id} is about content {approval.content_hash}, not {asked.content_hash}: read it again",
        )
    return None


def _admit(
    request: Request, asked: Answer, approval: Approval, proposal: Proposal, reads: ApprovalReads, now: int,
    policy: Policy,
) -> Outcome:  # fmt: skip
    if proposals.content_hash(proposal.payload) != approval.content_hash:
        return failed("precondition_failed", f"proposal {proposal.id} is not what approval {approval.id} was asked for")
    provenance = {"resolution": "escalate", "approval": approval.id, "approved_by": request.principal,
                  "content_hash": approval.content_hash, "reason": asked.reason}  # fmt: skip
    outcome = decide_again(request, proposal, reads, now, policy=policy, over_conflicts=True, provenance=provenance)
    if outcome.verdict is not Verdict.APPROVED:
        return outcome
    moved = _moved(approval, outcome)
    if moved:
        return failed("precondition_failed", f"{moved} since approval {approval.id} was asked for: escalate it again")
    proposals.close(outcome, proposal, "admitted", "escalate", request, now)
    close_approval(outcome, approval, "approved", asked.reason, request, now)
    approval.state = "approved"
    outcome.result = {**outcome.result, "approval": shown(approval)}
    return outcome


def _moved(approval: Approval, outcome: Outcome) -> str:
    """Say what is not as it was when the approval was asked for."""
    version, head = outcome.result["artifact"]["version"], approval.base["head_version"]
    if version != head + 1:
        return f"the head has moved from version {head} to {version - 1}"
    known = {(kind, pointer) for kind, pointer in approval.base["conflicts"]}
    fresh = [c for c in outcome.result.get("conflicts", ()) if proposals.cause(c) not in known]
    return f"another conflict has come up ({fresh[0]['message']})" if fresh else ""


def _refuse(
    request: Request, asked: Answer, approval: Approval, proposal: Proposal, _reads: ApprovalReads, now: int
) -> Outcome:
    outcome = Outcome(verdict=Verdict.APPROVED)
    proposals.close(outcome, proposal, "denied", "deny", request, now)
    close_approval(outcome, approval, "denied", asked.reason, request, now)
    approval.state = "denied"
    outcome.result = {"approval": shown(approval), "proposal": {"id": proposal.id, "state": "denied"}}
    return outcome


def expire(batch: Sequence[Request], reads: ApprovalReads, now: int) -> list[Outcome]:
    """End approvals that nobody answered in time; what they were about is as open as before."""
    outcomes = []
    for request in batch:
        asked: Expire = request.studied
        approval = reads.approval(request.organization, asked.approval)
        outcome = Outcome(verdict=Verdict.APPROVED)
        if approval is None:
            outcome = failed("not_found", f"approval {asked.approval} does not exist")
        elif approval.state == "open" and approval.expires_at <= now:
            close_approval(outcome, approval, "expired", "", request, now)
            approval.state = "expired"
            if approval.subject_kind == PROPOSAL:
                proposal = reads.proposal(request.organization, approval.subject)
                proposals.reopen(outcome, proposal, now)
        if approval is not None:
            outcome.result = {"approval": shown(approval)}
        outcomes.append(outcome)
    return outcomes
