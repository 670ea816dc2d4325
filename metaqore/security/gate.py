"""SecureGateway as the other features meet it: judge a payload, get a decision that is also a record.

What cannot be judged or decided is vetoed. An approval is worth nothing until its record is committed with the work
that it allows; the schema sees to that (``llm_calls.decision_id``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from metaqore.audit.tags import Tag
from metaqore.ids import new_id
from metaqore.messages import AuditNote, EventNote, Request
from metaqore.security.assessment import assess
from metaqore.security.effects import NewDecision
from metaqore.security.model import Assessment, Context, Decision, Label, Position, ProviderStatus, Verdict
from metaqore.security.policy import Policies, decide


class Judged(msgspec.Struct, kw_only=True):
    """A decision, the effect that records it, and how it is audited and announced."""

    approved: bool
    decision_id: str
    label: str
    reasons: list[str]
    providers_allowed: list[str]
    provider: str | None
    write: NewDecision
    audit: AuditNote
    events: list[EventNote]
    shown: dict[str, Any]


class SecureGate:
    """Judges by one policy over the providers there are.

    Args:
        policies: the loaded policy file.
        policy: the policy in force, by name.
        providers: returns what is known of the providers now; unknown ones are vetoed.
    """

    def __init__(self, policies: Policies, policy: str, providers: Callable[[], Mapping[str, ProviderStatus]]) -> None:
        self._policies = policies
        self._policy = policy
        self._providers = providers

    def assess(self, content: Any, declared: Mapping[str, Any]) -> Assessment:
        """Return the label of ``content`` with what the caller declares about it. Pure; may be done before a claim."""
        return assess(content, context_of(declared))

    def judge(self, request: Request, assessment: Assessment, requested: str | None, now: int) -> Judged:
        """Decide whether the payload of ``request`` may go to a provider, and to which."""
        decision = decide(
            assessment, policy=self._policies[self._policy], providers=self._providers(), requested=requested
        )
        return _judged(request, assessment, decision, now)


def context_of(declared: Mapping[str, Any]) -> Context:
    """Return the context that a payload's own fields declare; what is not declared keeps its default."""
    label = declared.get("label")
    return Context(
        task_type=str(declared.get("task_type") or ""),
        agent_name=str(declared.get("agent_name") or ""),
        declared_label=Label.parse(label) if isinstance(label, str) else None,
        position=Position(declared.get("position") or Position.USER),
        has_private_data=bool(declared.get("has_private_data")),
        has_sensitive_data=bool(declared.get("has_sensitive_data")),
        is_security_task=bool(declared.get("is_security_task")),
    )


def _judged(request: Request, assessment: Assessment, decision: Decision, now: int) -> Judged:
    decision_id = new_id("dec")
    label = (decision.label if decision.label is not None else assessment.label).name
    approved = decision.verdict is Verdict.APPROVED
    body = {**decision.to_dict(), "findings": [finding.to_dict() for finding in assessment.findings],
            "threats": [threat.to_dict() for threat in assessment.threats], "engine": assessment.engine}  # fmt: skip
    shown = {
        "id": decision_id, "verdict": decision.verdict.value, "label": label, "policy": decision.policy,
        "policy_digest": decision.policy_digest, "reasons": list(decision.reasons), "rules": list(decision.rules),
        "providers_allowed": list(decision.providers_allowed), "provider_recommended": decision.provider_recommended,
        "obligations": list(decision.obligations), "findings": body["findings"], "threats": body["threats"],
    }  # fmt: skip
    return Judged(
        approved=approved, decision_id=decision_id, label=label, reasons=list(decision.reasons),
        providers_allowed=list(decision.providers_allowed), provider=decision.provider_recommended,
        write=NewDecision(
            decision_id, request.organization, request.project, request.id, request.principal,
            decision.verdict.value, label, decision.policy, decision.policy_digest, decision.provider_recommended,
            msgspec.json.encode(body).decode(), now,
        ),
        audit=AuditNote(
            tag=Tag.DECISION_APPROVED if approved else Tag.DECISION_VETOED, subject=decision_id,
            outcome=decision.verdict.value, policy_digest=decision.policy_digest,
            details={"label": label, "policy": decision.policy, "rules": " ".join(decision.rules)},
        ),
        events=[] if approved else [EventNote("governance.veto_applied", decision_id, {"label": label})],
        shown=shown,
    )  # fmt: skip
