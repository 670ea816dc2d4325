"""What an attempt leads to: the next state of a request, and when it may be tried again. Pure but for the jitter."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from metaqore.errors import Contention, MetaQoreError, Retryable, Unavailable
from metaqore.failpoints import FailpointError
from metaqore.messages import Outcome, Request, State, failed
from metaqore.requests.model import Finished, Settled, document

_encode = msgspec.json.Encoder().encode
_jitter = random.Random()
T = TypeVar("T")

#: Not the fault of any one request: the whole drain ends, and the sweep rings again.
PASSING = (Unavailable, FailpointError)


class Defect(Retryable):
    """The engine could not decide, by a fault of its own."""

    code = "internal_error"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much, how often, how long. Times in the unit of their name."""

    drain_batch: int = 256
    lease_s: int = 30
    max_attempts: int = 5
    backoff_base_s: float = 1.0
    backoff_max_s: float = 60.0


def backoff_ms(attempt: int, limits: Limits, jitter: float) -> int:
    """Return how long to wait after attempt number ``attempt`` (1 or more), in milliseconds.

    Exponential with equal jitter: between half and all of the capped exponential, so that a burst of failures does
    not come back as a burst and none comes back at once.

    Args:
        jitter: in [0, 1).
    """
    capped = min(limits.backoff_max_s, limits.backoff_base_s * 2 ** (attempt - 1))
    return int(capped * (0.5 + jitter / 2) * 1000)


def exhausted() -> Outcome:
    """Return the outcome of a request whose every attempt ended without one."""
    return failed("attempts_exhausted", "every attempt ended without an outcome")


def outcome_of(error: Exception, doing: str) -> Outcome:
    """Return what an exception says about the request that it was raised for."""
    if isinstance(error, Contention):
        return failed("contention", "another writer got there first", retryable=True)
    if not isinstance(error, MetaQoreError):
        error = Defect(f"{type(error).__name__} while {doing}")
    return failed(error.code, error.message, retryable=isinstance(error, Retryable))


def goes_again(request: Request, outcome: Outcome, limits: Limits, *, leased: bool) -> bool:
    """Return whether this outcome puts the request back to wait for its next attempt."""
    if outcome.error is None or not outcome.retryable:
        return False
    return (request.attempt if leased else request.attempt + 1) < limits.max_attempts


def settle(
    request: Request, outcome: Outcome, now: int, limits: Limits, *, leased: bool
) -> tuple[Settled, Finished | None]:
    """Return the new row values of a request, and its document where it is finished.

    Args:
        leased: it was claimed in a transaction of its own, which has counted this attempt already.
    """
    attempt = request.attempt if leased else request.attempt + 1
    encoded: bytes | None = None
    available_at = now
    if outcome.error is None:
        state = State.SUCCEEDED
        encoded = _encode(outcome.result)
    elif goes_again(request, outcome, limits, leased=leased):
        state = State.ACCEPTED
        available_at = now + backoff_ms(attempt, limits, _jitter.random())
    else:
        state = State.DEAD if outcome.retryable or outcome.error["code"] == "attempts_exhausted" else State.FAILED
    settled = Settled(
        seq=request.seq,
        old_fence=request.fence,
        state=state,
        verdict=outcome.verdict if state is State.SUCCEEDED else None,
        result=None if encoded is None else encoded.decode(),
        error=None if outcome.error is None else _encode(outcome.error).decode(),
        attempt=attempt,
        fence=request.fence if leased else request.fence + 1,
        available_at=available_at,
        finished_at=None if state is State.ACCEPTED else now,
    )
    return settled, None if state is State.ACCEPTED else _finished(request, settled, encoded, outcome)


def halves(batch: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    """Return the two halves of a batch of two or more that cannot be worked on together."""
    middle = len(batch) // 2
    return batch[:middle], batch[middle:]


def _finished(request: Request, settled: Settled, encoded: bytes | None, outcome: Outcome) -> Finished:
    return Finished(
        id=request.id,
        organization=request.organization,
        state=settled.state,
        document=document(
            request,
            state=settled.state,
            verdict=settled.verdict,
            result=encoded,
            error=outcome.error,
            attempt=settled.attempt,
            finished_at=settled.finished_at,
        ),
        no_cache=outcome.no_cache,
    )
