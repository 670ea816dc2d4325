"""Decides ``artifact.quarantine``: what a principal, a project or a provider has made since a moment is set aside.

What a provider has made are the versions whose authors name a call to it under ``provenance``.

It looks through the organization's artifacts in pages and asks for an ``artifact.set_aside`` of each that it finds, so
that every project decides in its own order and keeps it in its own history. That is a transition which no rule and no
stop holds up: a stopped project can be cleaned, too. A page that is full asks for the next one.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from metaqore.errors import InvalidInput
from metaqore.messages import Outcome, Request, Submission, Verdict, failed
from metaqore.psmp.declared_calls import calls_named
from metaqore.psmp.model import Head
from metaqore.psmp.policy import Policy
from metaqore.psmp.ports import PsmpReads

#: Most artifacts that one request looks at; where it has to read what each of them says of its origin.
PAGE, PROVIDER_PAGE = 10_000, 500
WHOSE = ("principal", "project", "provider")


class Quarantine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of ``artifact.quarantine``. ``since`` in milliseconds since the epoch."""

    since: int
    #: Whose work, or of which project or provider: exactly one of them.
    principal: str = ""
    project: str = ""
    provider: str = ""
    reason: str = ""
    #: The artifact after which to go on.
    after: str = ""


def study(request: Request) -> Quarantine:
    """Parse the payload.

    Raises:
        InvalidInput: not a valid quarantine.
    """
    try:
        found = msgspec.convert(request.payload, Quarantine)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"artifact.quarantine: {error}") from error
    if sum(map(bool, (found.principal, found.project, found.provider))) != 1:
        raise InvalidInput("artifact.quarantine: name a principal, a project or a provider")
    return found


def quarantine(batch: Sequence[Request], reads: PsmpReads, now: int, *, policy: Policy) -> list[Outcome]:
    """Decide quarantines."""
    return [_quarantine(request, request.studied, reads, policy) for request in batch]


def _quarantine(request: Request, asked: Quarantine, reads: PsmpReads, policy: Policy) -> Outcome:
    to = next((name for name, state in policy.artifact.states.items() if state.as_dependency == "blocked"), None)
    if to is None:
        return failed("invalid_input", "the policy has no state in which an artifact blocks what depends on it")
    size = PROVIDER_PAGE if asked.provider else PAGE
    page = reads.heads_after(request.organization, asked.after, size)
    recent = [
        head for head, updated_at in page
        if updated_at >= asked.since and policy.artifact.state(head.state).as_dependency != "blocked"
        and policy.artifact.move(head.state, to) is not None
    ]  # fmt: skip
    found = [(head.id, head.project) for head in _made_by(request.organization, asked, recent, reads)]
    follow_ups = [
        Submission(organization=request.organization, project=project, principal=request.principal,
                   kind="artifact.set_aside", payload={"artifact": artifact, "to": to})
        for artifact, project in found
    ]  # fmt: skip
    if len(page) == size:
        more = {**msgspec.to_builtins(asked), "after": page[-1][0].id}
        follow_ups.append(
            Submission(organization=request.organization, project=None, principal=request.principal,
                       kind=request.kind, payload=more)
        )  # fmt: skip
    whose = next((name, value) for name in WHOSE if (value := getattr(asked, name)))
    result = {whose[0]: whose[1], "to": to, "artifacts": [artifact for artifact, _ in found],
              "looked_at": len(page), "policy_digest": policy.digest}  # fmt: skip
    return Outcome(verdict=Verdict.APPROVED, result=result, follow_ups=follow_ups)


def _made_by(organization: str, asked: Quarantine, heads: Sequence[Head], reads: PsmpReads) -> list[Head]:
    """Return those of ``heads`` that the principal, the project or the provider has made."""
    if asked.principal:
        return [head for head in heads if head.updated_by == asked.principal]
    if asked.project:
        return [head for head in heads if head.project == asked.project]
    named = {head.id: {*calls_named(reads.body(head.id, head.head).get("provenance"))} for head in heads}
    theirs = reads.answered_by(organization, asked.provider, sorted(set().union(*named.values())))
    return [head for head in heads if named[head.id] & theirs]
