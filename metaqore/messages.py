"""What goes into a handler and what comes out: the vocabulary that all features share.

A handler never commits and never writes. It gets claimed requests and read access, and returns one ``Outcome`` for
each; the executor writes state, effects, audit entries, events, deliveries and result in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec


class Verdict(StrEnum):
    """What was decided. A denial is a result, not an error."""

    APPROVED = "approved"
    BLOCKED = "blocked"
    VETOED = "vetoed"


class State(StrEnum):
    """Where a request is. The last four are terminal and never change."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DEAD = "dead"


TERMINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED, State.DEAD})

#: accepted → running → succeeded | failed | cancelled | dead, and running → accepted on retry.
TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.ACCEPTED: frozenset({State.RUNNING, State.SUCCEEDED, State.FAILED, State.CANCELLED, State.DEAD}),
    State.RUNNING: frozenset({State.ACCEPTED, State.SUCCEEDED, State.FAILED, State.CANCELLED, State.DEAD}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
    State.DEAD: frozenset(),
}


class Request(msgspec.Struct, kw_only=True):
    """A claimed request. Times are milliseconds since the epoch."""

    seq: int
    id: str
    organization: str
    project: str | None
    principal: str
    kind: str
    queue: str
    ordering_key: str | None
    payload: dict[str, Any]
    attempt: int
    fence: int
    created_at: int
    #: What ``study`` made of the payload before the transaction began; None where the kind has no study.
    studied: Any = None


class Submission(msgspec.Struct, kw_only=True, frozen=True):
    """What somebody asks for, before it is accepted."""

    organization: str
    project: str | None
    principal: str
    kind: str
    payload: Mapping[str, Any]
    #: Whose data the payload is, where it is not the principal's own.
    subject: str | None = None


class AuditNote(msgspec.Struct, frozen=True):
    """One audit entry to be: the executor adds organization, sequence, actor, request and time."""

    tag: str
    subject: str | None = None
    outcome: str | None = None
    details: Mapping[str, Any] = {}
    policy_digest: str | None = None
    #: To what is kept outside of the log, see ``metaqore.audit.entry.commit_to``.
    commitment: str | None = None


class EventNote(msgspec.Struct, frozen=True):
    """One outgoing event to be, e.g. ``artifact.created``. ``data`` is thin: identifiers and states, no content."""

    type: str
    subject: str
    data: Mapping[str, Any]


class Write(msgspec.Struct, frozen=True, gc=False):
    """Base of every effect. A feature declares its writes in its ``model``; ``store`` knows how to apply each.

    No effect refers back to what refers to it, so that the collector of reference cycles need not look at them.
    """


class Outcome(msgspec.Struct, kw_only=True):
    """What a handler decided about one request."""

    verdict: Verdict | None = None
    result: Mapping[str, Any] = {}
    #: Given to the caller of a control-plane request this one time and never stored, e.g. a new secret.
    once: Mapping[str, Any] = {}
    writes: list[Write] = []
    audit: list[AuditNote] = []
    events: list[EventNote] = []
    follow_ups: list[Submission] = []
    #: Queues to ring after the commit, where the effects made work that is no request.
    rings: tuple[str, ...] = ()
    #: Set where the engine could not decide: {"code", "message"}.
    error: Mapping[str, Any] | None = None
    #: With ``error``: whether another attempt may succeed.
    retryable: bool = False
    #: Its result may be in no cache: whoever waits for it reads it from the database.
    no_cache: bool = False


class Prepared(msgspec.Struct, kw_only=True):
    """A long request that may be performed: what to write before, and what ``perform`` needs."""

    work: Any
    writes: list[Write] = []
    audit: list[AuditNote] = []


def failed(code: str, message: str, *, retryable: bool = False) -> Outcome:
    """Return the outcome of a request the engine could not decide."""
    return Outcome(error={"code": code, "message": message}, retryable=retryable)
