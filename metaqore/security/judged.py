"""A decision with its record: what is written, audited, announced and shown of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from metaqore.audit.tags import Tag
from metaqore.ids import new_id
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Submission
from metaqore.messages import Verdict as Said
from metaqore.security.effects import NewDecision
from metaqore.security.facts import Asked
from metaqore.security.model import Assessment, Decision, Duties, Verdict


class Judged(msgspec.Struct, kw_only=True):
    """A decision, the effect that records it, and how it is audited and announced."""

    approved: bool
    decision_id: str
    label: str
    reasons: list[str]
    providers_allowed: list[str]
    provider: str | None
    obligations: list[str]
    warnings: list[str]
    #: What has to be done for an allowed provider; who is left out needs nothing.
    duties: Mapping[str, Duties]
    write: NewDecision
    audit: AuditNote
    events: list[EventNote]
    shown: dict[str, Any]
    #: What was decided, about what.
    decision: Decision
    request: Request
    assessment: Assessment
    asked: Asked
    #: Questions to people, where only their approval is missing.
    follow_ups: list[Submission] = []

    def without(self, reason: tuple[str, str], now: int) -> Judged:
        """Return the same as a veto, with one more (rule, reason)."""
        decision = msgspec.structs.replace(
            self.decision, verdict=Verdict.VETOED, reasons=(reason[1],), rules=(reason[0],), obligations=(), duties={}
        )
        return judged(self.request, self.assessment, decision, self.asked, now)

    def vetoed(self) -> Outcome:
        """Return the outcome of a request that was vetoed."""
        return Outcome(
            verdict=Said.VETOED, result={"decision": self.shown}, writes=[self.write], audit=[self.audit],
            events=self.events, follow_ups=self.follow_ups,
        )  # fmt: skip


def judged(
    request: Request,
    assessment: Assessment,
    decision: Decision,
    asked: Asked,
    now: int,
    follow_ups: Sequence[Submission] = (),
) -> Judged:
    """Return a decision with its record."""
    approved = decision.verdict is Verdict.APPROVED
    label = (decision.label if decision.label is not None else assessment.label).name
    decision_id = new_id("dec")
    body = {
        **decision.to_dict(),
        "findings": [finding.to_dict() for finding in assessment.findings],
        "threats": [threat.to_dict() for threat in assessment.threats],
        "engine": assessment.engine,
        # With these and what was found, the decision can be made again by other policies. Never the payload.
        "asked": msgspec.to_builtins(asked),
        "assessed": {"label": assessment.label.name, "size": assessment.size},
    }
    told = (
        "policy policy_version policy_digest reasons rules providers_allowed provider_recommended obligations warnings "
        "approvals layers findings threats"
    ).split()
    shown = {
        "id": decision_id,
        "verdict": decision.verdict.value,
        "label": label,
        **{name: body[name] for name in told},
    }
    return Judged(
        approved=approved, decision_id=decision_id, label=label, reasons=list(decision.reasons),
        providers_allowed=list(decision.providers_allowed), provider=decision.provider_recommended,
        obligations=list(decision.obligations), warnings=list(decision.warnings), duties=decision.duties,
        write=NewDecision(
            decision_id, request.organization, request.project, request.id, request.principal,
            decision.verdict.value, label, decision.policy, decision.policy_digest, decision.provider_recommended,
            msgspec.json.encode(body).decode(), now,
        ),
        audit=AuditNote(
            tag=Tag.DECISION_APPROVED if approved else Tag.DECISION_VETOED, subject=decision_id,
            outcome=decision.verdict.value, policy_digest=decision.policy_digest, details=_details(label, decision),
        ),
        events=[] if approved else [EventNote("governance.veto_applied", decision_id, {"label": label})],
        shown=shown, decision=decision, request=request, assessment=assessment, asked=asked,
        follow_ups=list(follow_ups),
    )  # fmt: skip


def _details(label: str, decision: Decision) -> dict[str, str]:
    details = {"label": label, "policy": decision.policy, "rules": " ".join(decision.rules)}
    if decision.shadow:
        details["shadow"] = " ".join(decision.shadow)
    if decision.warnings:
        details["warnings"] = " ".join(text.partition(":")[0] for text in decision.warnings)
    return details


def denied(
    request: Request, reasons: Sequence[tuple[str, str]], policy: str, digest: str, now: int, *,
    approvals: Sequence[str] = (), follow_ups: Sequence[Submission] = (),
) -> Outcome:  # fmt: skip
    """Return the veto of a request for what it is, whatever is in it; (rule, reason) for each objection.

    Args:
        approvals: scopes whose approval alone is missing.
        follow_ups: the questions to them.
    """
    decision_id = new_id("dec")
    shown = {
        "id": decision_id, "verdict": Verdict.VETOED.value, "policy": policy, "policy_digest": digest,
        "reasons": [reason for _, reason in reasons], "rules": [rule for rule, _ in reasons],
        "providers_allowed": [], "provider_recommended": None, "obligations": [], "approvals": list(approvals),
    }  # fmt: skip
    write = NewDecision(
        decision_id, request.organization, request.project, request.id, request.principal, Verdict.VETOED.value,
        "UNKNOWN", policy, digest, None, msgspec.json.encode(shown).decode(), now,
    )  # fmt: skip
    note = AuditNote(
        tag=Tag.DECISION_VETOED, subject=decision_id, outcome=Verdict.VETOED.value, policy_digest=digest or None,
        details={"policy": policy, "rules": " ".join(rule for rule, _ in reasons)},
    )  # fmt: skip
    return Outcome(
        verdict=Said.VETOED, result={"decision": shown}, writes=[write], audit=[note],
        events=[EventNote("governance.veto_applied", decision_id, {"kind": request.kind})],
        follow_ups=list(follow_ups),
    )  # fmt: skip
