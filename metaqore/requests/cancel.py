"""Decides ``request.cancel``: a request that is not terminal ends as cancelled, and stays so.

Raising the fence is what stops it: whoever works on it now can no longer settle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from metaqore.audit.tags import Tag
from metaqore.errors import Conflict, NotFound
from metaqore.messages import TERMINAL, AuditNote, EventNote, Outcome, Request, State, Verdict, Write
from metaqore.requests.heartbeat import ForgetProgress


class CancelRequest(Write, frozen=True):
    """Effect: a request that is not terminal becomes cancelled under a higher fence."""

    id: str
    organization: str
    at: int


class RequestReads(Protocol):
    """Look-ups of requests."""

    def request_row(self, organization: str, request: str) -> Mapping[str, Any] | None:
        """Return a request's row."""


def cancel(batch: Sequence[Request], reads: RequestReads, now: int) -> list[Outcome]:
    """Cancel requests; payload ``{"request"}``.

    Raises:
        NotFound: no such request in this organization.
        Conflict: it has ended already.
    """
    return [_cancel(request, reads, now) for request in batch]


def _cancel(request: Request, reads: RequestReads, now: int) -> Outcome:
    target = str(request.payload["request"])
    row = reads.request_row(request.organization, target)
    if row is None:
        raise NotFound(f"request {target} does not exist")
    if State(row["state"]) in TERMINAL:
        raise Conflict(f"request {target} has ended as {row['state']}; it cannot be cancelled")
    return Outcome(
        verdict=Verdict.APPROVED,
        result={"id": target, "state": State.CANCELLED},
        writes=[CancelRequest(target, request.organization, now), ForgetProgress(target)],
        audit=[AuditNote(tag=Tag.REQUEST_CANCELLED, subject=target, outcome="cancelled")],
        events=[EventNote("request.cancelled", target, {"kind": row["kind"]})],
    )
