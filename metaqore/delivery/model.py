"""Events going out: endpoints, deliveries, and the effects that change them. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from metaqore.messages import Write

#: Seconds after which attempt n+1 follows attempt n (Standard Webhooks 1.0.0, "Retries"): about three days in all.
RETRY_AFTER_S = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)


class Endpoint(msgspec.Struct, kw_only=True):
    """A webhook endpoint. ``events`` are patterns: ``*``, ``artifact.*`` or an exact type."""

    id: str
    organization: str
    project: str | None
    url: str
    secret: str
    events: list[str]
    state: str


class Delivery(msgspec.Struct, kw_only=True):
    """One event on its way to one endpoint, claimed under a fence. Times in milliseconds since the epoch."""

    id: str
    organization: str
    endpoint: Endpoint
    event_id: str
    event_seq: int
    event_type: str
    subject: str
    project: str | None
    request_id: str
    data: str
    created_at: int
    attempt: int
    fence: int


class Attempted(msgspec.Struct, kw_only=True, frozen=True):
    """What came of one attempt. ``state`` pending means: try again at ``next_at``."""

    delivery: str
    fence: int
    state: Literal["pending", "delivered", "dead"]
    status: int | None
    error: str | None
    latency_ms: int
    next_at: int
    at: int
    #: Set where the receiver answered 410 Gone.
    disable_endpoint: bool = False


class SaveEndpoint(Write, frozen=True):
    """Effect: an endpoint is created or changed. ``events`` is JSON text; ``secret`` None keeps the present one."""

    id: str
    organization: str
    project: str | None
    url: str
    secret: str | None
    events: str
    state: str
    reason: str | None
    fresh: bool
    created_by: str
    at: int


def wants(pattern: str, event_type: str) -> bool:
    """True where an endpoint with this pattern wants the event: ``*``, ``prefix.*`` or the exact type."""
    if pattern == "*":
        return True
    if pattern.endswith(".*"):
        return event_type.startswith(pattern[:-1])
    return pattern == event_type


def retry_after_ms(attempt: int, jitter: float, asked_s: float | None) -> int | None:
    """Return how long to wait after attempt number ``attempt`` (from 1), or None where it was the last.

    Args:
        jitter: in [0, 1); adds up to a tenth.
        asked_s: the receiver's ``Retry-After`` in seconds, honoured where it is longer, up to a day.
    """
    if attempt > len(RETRY_AFTER_S):
        return None
    seconds = max(RETRY_AFTER_S[attempt - 1] * (1 + jitter / 10), min(asked_s or 0, 86400))
    return int(seconds * 1000)
