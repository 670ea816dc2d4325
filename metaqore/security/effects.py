"""What SecureGateway's decisions write."""

from __future__ import annotations

from metaqore.messages import Write


class NewDecision(Write, frozen=True):
    """Effect: a decision is recorded. ``body`` is JSON text: reasons, rules, findings without values, providers."""

    id: str
    organization: str
    project: str | None
    request_id: str
    principal: str
    verdict: str
    label: str
    policy: str
    policy_digest: str
    provider: str | None
    body: str
    at: int
