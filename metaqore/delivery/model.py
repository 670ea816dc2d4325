"""Events going out: endpoints, deliveries, what comes of an attempt, and the effects that change them. Pure."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from metaqore.clock import to_rfc3339
from metaqore.messages import Write

#: Seconds after which attempt n+1 follows attempt n (Standard Webhooks 1.0.0, "Retries"): about three days in all.
RETRY_AFTER_S = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
#: The longest ``Retry-After`` that is honoured, in seconds.
MAX_RETRY_AFTER_S = 86400
#: A body stays below this (Standard Webhooks 1.0.0, "Payload size").
MAX_BODY_BYTES = 20_000

#: Labels of artifacts whose names are told to nobody outside.
_STAYS = frozenset({"SENSITIVE", "CRITICAL"})

#: Events about endpoints themselves; their subject is the endpoint.
OWN_EVENTS = "webhook."
TEST_EVENT = "webhook.test"
DEAD_EVENT = "webhook.dead"
DISABLED_EVENT = "webhook.disabled"


class Endpoint(msgspec.Struct, kw_only=True):
    """A webhook endpoint. ``events`` are patterns: ``*``, ``artifact.*`` or an exact type."""

    id: str
    organization: str
    project: str | None
    url: str
    secret: str
    #: Signs beside ``secret`` until ``previous_until``, in milliseconds.
    previous_secret: str | None = None
    previous_until: int | None = None
    events: list[str]
    state: str

    def secrets(self, now: int) -> list[str]:
        """Return the secrets to sign with at ``now``, the newest first."""
        overlap = self.previous_secret is not None and (self.previous_until or 0) > now
        return [self.secret, self.previous_secret] if overlap and self.previous_secret else [self.secret]

    def receives(self, event_type: str, subject: str, project: str | None) -> bool:
        """True where this endpoint is to be told of an event.

        A test goes to the endpoint it tests and nowhere else. An event about an endpoint never goes to that endpoint:
        it could not be told that it is out of reach.
        """
        if event_type == TEST_EVENT:
            return subject == self.id
        if event_type.startswith(OWN_EVENTS) and subject == self.id:
            return False
        in_project = self.project is None or self.project == project
        return in_project and any(wants(pattern, event_type) for pattern in self.events)


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
    #: Sensitivity, now, of the artifact that the event is about; None where it is about none.
    label: str | None = None
    #: The audit entry that speaks of this event, its leaf hash as hex, and the first checkpoint over it.
    audit_seq: int | None = None
    leaf_hash: str | None = None
    checkpoint: str | None = None


class Attempted(msgspec.Struct, kw_only=True, frozen=True):
    """What came of one attempt. ``state`` pending means: try again at ``next_at``."""

    delivery: str
    fence: int
    state: Literal["pending", "delivered", "dead"]
    status: int | None
    #: ``code: what happened``; the code is one word, e.g. ``timeout``. Never text that the receiver sent.
    error: str | None
    latency_ms: int
    next_at: int
    at: int
    #: Set where the receiver answered 410 Gone.
    disable_endpoint: bool = False
    #: Set where the receiver asked for a pause: nothing is sent to it before this time.
    pause_until: int | None = None

    @property
    def reason(self) -> str | None:
        """The one word that ``error`` begins with."""
        return None if self.error is None else self.error.partition(":")[0]


class SaveEndpoint(Write, frozen=True):
    """Effect: an endpoint is created or changed, and a pause its receiver asked for is over. ``events`` is JSON."""

    id: str
    organization: str
    project: str | None
    url: str
    secret: str
    previous_secret: str | None
    previous_until: int | None
    events: str
    state: str
    reason: str | None
    fresh: bool
    created_by: str
    at: int


class DeleteEndpoint(Write, frozen=True):
    """Effect: an endpoint and its secrets are gone; what was still to be sent to it is dead."""

    id: str
    organization: str


class ReplayDeliveries(Write, frozen=True):
    """Effect: deliveries are due again, with attempts counted anew. Event and ``webhook-id`` stay what they were."""

    organization: str
    ids: tuple[str, ...]
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
    seconds = max(RETRY_AFTER_S[attempt - 1] * (1 + jitter / 10), min(asked_s or 0, MAX_RETRY_AFTER_S))
    return int(seconds * 1000)


def body_of(delivery: Delivery) -> bytes:
    """Return the JSON to send: the same bytes at each attempt while its label is the same, below ``MAX_BODY_BYTES``.

    What an artifact that is SENSITIVE or CRITICAL is called stays behind the API, too: ``withheld`` says so.

    Thin: it names what happened and where to read it; content stays behind the API, where access is checked. Where
    the data would make it too large, ``data`` is empty and ``truncated`` is true: read the event by ``sequence``.
    """
    body = {
        "type": delivery.event_type,
        "timestamp": to_rfc3339(delivery.created_at),
        "data": _told(delivery),
        "id": delivery.event_id,
        "subject": delivery.subject,
        "project": delivery.project,
        "request": delivery.request_id,
        "sequence": delivery.event_seq,
        "audit": None if delivery.audit_seq is None else {"seq": delivery.audit_seq, "leaf_hash": delivery.leaf_hash},
    }
    encoded = msgspec.json.encode(body)
    if len(encoded) >= MAX_BODY_BYTES:
        encoded = msgspec.json.encode({**body, "data": {}, "truncated": True})
    return encoded


def _told(delivery: Delivery) -> Any:
    """Return the data of an event as its receiver may have it."""
    if delivery.label not in _STAYS:
        return msgspec.Raw(delivery.data.encode())
    data: dict[str, Any] = msgspec.json.decode(delivery.data)
    if "name" not in data:
        return data
    return {**{key: value for key, value in data.items() if key != "name"}, "withheld": ["name"]}
