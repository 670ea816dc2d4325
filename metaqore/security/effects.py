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


class SavePolicy(Write, frozen=True):
    """Effect: the policy of an organization (``project`` is "") or a project has a new version."""

    organization: str
    project: str
    version: int
    digest: str
    document: str
    reason: str
    created_by: str
    request_id: str
    at: int


class NotePolicyFile(Write, frozen=True):
    """Effect: one of the engine's own policy files was taken up (``loaded``), or cannot be used (``refused``)."""

    organization: str
    file: str
    version: int
    digest: str
    before: str
    stamp: str
    state: str
    request_id: str
    at: int


class SetStop(Write, frozen=True):
    """Effect: a principal, project or provider may do nothing from now on."""

    organization: str
    kind: str
    subject: str
    reason: str
    set_by: str
    request_id: str
    at: int


class LiftStop(Write, frozen=True):
    """Effect: it may go on."""

    organization: str
    kind: str
    subject: str
