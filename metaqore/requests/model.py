"""A request as it is stored and shown, and which open requests may be claimed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from metaqore.clock import to_rfc3339
from metaqore.errors import Forbidden, InvalidInput
from metaqore.messages import Request, State, Verdict


class OpenRequest(msgspec.Struct, kw_only=True):
    """A row that is not terminal, as a drain sees it."""

    request: Request
    state: State
    available_at: int
    lease_until: int | None


class Settled(msgspec.Struct, kw_only=True):
    """The new row values of one request. ``old_fence`` guards the write: no match, nothing is written."""

    seq: int
    old_fence: int
    state: State
    verdict: Verdict | None
    result: str | None
    error: str | None
    attempt: int
    fence: int
    available_at: int
    finished_at: int | None


class Finished(msgspec.Struct, kw_only=True):
    """A request that reached a terminal state, encoded once: for the result backend and for those who wait."""

    id: str
    organization: str
    state: State
    document: bytes
    #: The document may be in no cache.
    no_cache: bool = False


class Idempotency(msgspec.Struct, frozen=True):
    """An ``Idempotency-Key``: unique within (organization, principal, route); ``fingerprint`` is of what was sent."""

    route: str
    key: str
    fingerprint: str


class IdempotencyMismatch(InvalidInput):
    """This Idempotency-Key was used before with another request: use a new key."""

    code = "idempotency_mismatch"


class Vetoed(Forbidden):
    """SecureGateway refused this request; the refusal is recorded."""

    code = "vetoed"


class Ran(msgspec.Struct, kw_only=True):
    """A control-plane request that was accepted and decided inside the API call."""

    request_id: str
    result: Mapping[str, Any]
    replayed: bool
    #: What is told only this once, e.g. a new secret; empty where the answer is a replay.
    once: Mapping[str, Any] = {}


class Receipt(msgspec.Struct, kw_only=True):
    """The promise of a 202: these requests are stored. ``replayed`` where the same key was used before."""

    ids: list[str]
    replayed: bool = False


def claimable(rows: Iterable[OpenRequest], now: int, blocked: set[str]) -> list[Request]:
    """Return the requests that may be claimed now, in the order in which they were accepted.

    A request waits where an earlier open one with the same ordering key runs, or waits for its next attempt.

    Args:
        rows: open requests by rising ``seq``.
        now: milliseconds since the epoch.
        blocked: ordering keys that must wait; keys found to be held up are added.
    """
    ready = []
    for row in rows:
        key = row.request.ordering_key
        if key is not None and key in blocked:
            continue
        expired = row.state is State.RUNNING and (row.lease_until or 0) <= now
        if (row.state is State.ACCEPTED or expired) and row.available_at <= now:
            ready.append(row.request)
        elif key is not None:
            blocked.add(key)
    return ready


def document(
    request: Request,
    *,
    state: State,
    verdict: Verdict | None,
    result: bytes | None,
    error: Mapping[str, Any] | None,
    attempt: int,
    finished_at: int | None,
    progress: Mapping[str, Any] | None = None,
) -> bytes:
    """Return the JSON that callers see, with ``result`` embedded as it was encoded; ``progress`` while it runs."""
    return msgspec.json.encode(
        {
            "id": request.id,
            "kind": request.kind,
            "queue": request.queue,
            "project": request.project,
            "principal": request.principal,
            "state": state,
            "verdict": verdict,
            "result": None if result is None else msgspec.Raw(result),
            "error": error,
            "attempt": attempt,
            "created_at": to_rfc3339(request.created_at),
            "finished_at": None if finished_at is None else to_rfc3339(finished_at),
            **({} if progress is None else {"progress": progress}),
        }
    )


def runs(batch: Sequence[Request], together: Callable[[str], bool]) -> Iterable[list[Request]]:
    """Yield the longest runs of neighbours that are decided in one call, so that order is kept and runs stay large.

    Args:
        together: whether requests of a kind may share a call.
    """
    run: list[Request] = []
    for request in batch:
        if run and (run[-1].kind != request.kind or not together(request.kind)):
            yield run
            run = []
        run.append(request)
    if run:
        yield run
