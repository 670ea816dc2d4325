"""Sends one claimed delivery and says what came of it. Trying again belongs to the delivery's row, not to this."""

from __future__ import annotations

import base64
import random
import re
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Literal

from metaqore import __version__, failpoints
from metaqore.audit.kept import CHECKPOINT_HEADER
from metaqore.clock import now_ms
from metaqore.delivery import signing
from metaqore.delivery.egress import EgressPolicy, EgressRefused
from metaqore.delivery.model import MAX_RETRY_AFTER_S, Attempted, Delivery, body_of, retry_after_ms
from metaqore.delivery.ports import Network, Reply, Unreachable
from metaqore.errors import InvalidInput

#: Statuses with which a receiver asks for less (Standard Webhooks 1.0.0, "Retries").
_THROTTLING = frozenset({429, 502, 503, 504})
_GONE = 410
#: For the look-up at registration, where somebody waits.
_CHECK_TIMEOUT_S = 5.0


class Sender:
    """Sends deliveries under a policy. Safe to use from many threads."""

    def __init__(
        self,
        network: Network,
        policy: EgressPolicy,
        *,
        timeout_s: float = 15.0,
        clock: Callable[[], int] = now_ms,
        jitter: Callable[[], float] | None = None,
    ) -> None:
        self.timeout_s = timeout_s
        self._network = network
        self._policy = policy
        self._clock = clock
        self._jitter = jitter or random.Random().random

    def check(self, url: str) -> None:
        """Return where a webhook may be sent to ``url`` as its name resolves now. Call it before an endpoint is saved.

        Raises:
            EgressRefused: it may not; the message says why.
        """
        try:
            self._policy.admit(url, lambda host, port: self._network.resolve(host, port, _CHECK_TIMEOUT_S))
        except Unreachable as error:
            raise EgressRefused(f"url: {error.message}") from error

    def attempt(self, delivery: Delivery) -> Attempted:
        """Send ``delivery`` once, signed at this time, and return what came of it."""
        started, begun = self._clock(), time.monotonic()
        reply: Reply | None = None
        error: str | None = None
        try:
            failpoints.hit("webhook.before_send")
            reply = self._send(delivery, started, begun + self.timeout_s)
            failpoints.hit("webhook.after_send")
        except (Unreachable, InvalidInput) as failure:
            error = f"{failure.code}: {failure.message}"
        latency_ms = int((time.monotonic() - begun) * 1000)
        return judge(delivery, reply, error, now=self._clock(), latency_ms=latency_ms, jitter=self._jitter())

    def _send(self, delivery: Delivery, now: int, deadline: float) -> Reply:
        body = body_of(delivery)
        # The event's id: one event has one id for each receiver, at every attempt and at every replay.
        signed = signing.headers(delivery.endpoint.secrets(now), delivery.event_id, now // 1000, body)
        headers = {"content-type": "application/json", "user-agent": f"MetaQore/{__version__}", **signed}
        if delivery.checkpoint is not None:
            # Not in the body, which is the same at each attempt: the first one may come before the seal.
            headers[CHECKPOINT_HEADER] = base64.b64encode(delivery.checkpoint.encode()).decode()
        target, addresses = self._policy.admit(
            delivery.endpoint.url, lambda host, port: self._network.resolve(host, port, _left(deadline))
        )
        return self._network.post(target, addresses, headers, body, _left(deadline))


def judge(
    delivery: Delivery, reply: Reply | None, error: str | None, *, now: int, latency_ms: int, jitter: float
) -> Attempted:
    """Return what an answer, or its absence, means for a delivery.

    2xx is delivered and 410 disables the endpoint. Everything else, redirects too, is tried again by the table of
    ``model.RETRY_AFTER_S``; a ``Retry-After`` with 429, 502, 503 or 504 is honoured, for this delivery and for the
    whole endpoint.
    """
    status = reply.status if reply is not None else None
    asked_s = None
    if reply is not None and status in _THROTTLING:
        asked_s = parse_retry_after(reply.retry_after, now)
    state: Literal["pending", "delivered", "dead"] = "pending"
    wait_ms = retry_after_ms(delivery.attempt, jitter, asked_s)
    if status is not None and 200 <= status < 300:
        state, error = "delivered", None
    elif status == _GONE or wait_ms is None:
        state = "dead"
    if status is not None and state != "delivered":
        error = f"status_{status}: the receiver answered {status}"
    return Attempted(
        delivery=delivery.id, fence=delivery.fence, state=state, status=status, error=error, latency_ms=latency_ms,
        next_at=now + (wait_ms or 0 if state == "pending" else 0), at=now, disable_endpoint=status == _GONE,
        pause_until=None if asked_s is None else now + int(min(asked_s, MAX_RETRY_AFTER_S) * 1000),
    )  # fmt: skip


def parse_retry_after(value: str | None, now: int) -> float | None:
    """Return the seconds a ``Retry-After`` asks for (RFC 9110 §10.2.3), a number or a date; None where it is neither.

    Args:
        now: milliseconds since the epoch.
    """
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now / 1000)
    except (ValueError, TypeError, OverflowError):
        return None


def _left(deadline: float) -> float:
    """Return the seconds left.

    Raises:
        Unreachable: there are none.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise Unreachable("timeout", "no answer in time")
    return left
