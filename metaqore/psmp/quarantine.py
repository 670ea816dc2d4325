"""Decides ``artifact.quarantine``: what a principal has made since a moment is set aside, in every project.

It looks through the organization's artifacts in pages and asks for an ``artifact.set_aside`` of each that it finds, so
that every project decides in its own order and keeps it in its own history. That is a transition which no rule and no
stop holds up: a stopped project can be cleaned, too. A page that is full asks for the next one.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from metaqore.errors import InvalidInput
from metaqore.messages import Outcome, Request, Submission, Verdict, failed
from metaqore.psmp.policy import Policy
from metaqore.psmp.ports import PsmpReads

#: Most artifacts that one request looks at.
PAGE = 10_000


class Quarantine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of ``artifact.quarantine``. ``since`` in milliseconds since the epoch."""

    principal: str
    since: int
    reason: str = ""
    #: The artifact after which to go on.
    after: str = ""


def study(request: Request) -> Quarantine:
    """Parse the payload.

    Raises:
        InvalidInput: not a valid quarantine.
    """
    try:
        return msgspec.convert(request.payload, Quarantine)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"artifact.quarantine: {error}") from error


def quarantine(batch: Sequence[Request], reads: PsmpReads, now: int, *, policy: Policy) -> list[Outcome]:
    """Decide quarantines."""
    return [_quarantine(request, request.studied, reads, policy) for request in batch]


def _quarantine(request: Request, asked: Quarantine, reads: PsmpReads, policy: Policy) -> Outcome:
    to = next((name for name, state in policy.artifact.states.items() if state.as_dependency == "blocked"), None)
    if to is None:
        return failed("invalid_input", "the policy has no state in which an artifact blocks what depends on it")
    page = reads.heads_after(request.organization, asked.after, PAGE)
    found = [
        (head.id, head.project)
        for head, updated_at in page
        if head.updated_by == asked.principal and updated_at >= asked.since
        and policy.artifact.state(head.state).as_dependency != "blocked"
        and policy.artifact.move(head.state, to) is not None
    ]  # fmt: skip
    follow_ups = [
        Submission(organization=request.organization, project=project, principal=request.principal,
                   kind="artifact.set_aside", payload={"artifact": artifact, "to": to})
        for artifact, project in found
    ]  # fmt: skip
    if len(page) == PAGE:
        more = {**msgspec.to_builtins(asked), "after": page[-1][0].id}
        follow_ups.append(
            Submission(organization=request.organization, project=None, principal=request.principal,
                       kind=request.kind, payload=more)
        )  # fmt: skip
    result = {"principal": asked.principal, "to": to, "artifacts": [artifact for artifact, _ in found],
              "looked_at": len(page), "policy_digest": policy.digest}  # fmt: skip
    return Outcome(verdict=Verdict.APPROVED, result=result, follow_ups=follow_ups)
