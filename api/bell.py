"""Rings the queues from outside of the request thread.

One publisher thread for each process turns what was accepted into at most one Celery message per queue: at once when
idle, else after ``ring_linger_ms`` or 64 ids. The message says "look", so ids beyond 64 need not be in it. A dead or
stopped Redis costs a request thread nothing; what could not be rung is kept and rung when Redis is back, and the
sweep repairs whatever is lost on the way.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Any

import redis
import structlog

from api.envelope import envelope
from metaqore import failpoints
from metaqore.adapters.redis_results import lone_client
from metaqore.errors import MetaQoreError
from metaqore.per_process import thread
from metaqore.queues import KEY_PREFIX, QUEUES, STOPS, STOPS_CHANNEL

log = structlog.get_logger(__name__)

#: How many ids one message carries.
_IDS = 64
#: How long Redis is left alone after it did not take a message, in seconds.
_PAUSE_S = 0.5


class PublisherBell:
    """See ``metaqore.requests.ports.Bell``."""

    def __init__(self, redis_url: str, *, linger_ms: float) -> None:
        self._redis_url = redis_url
        self._linger_s = linger_ms / 1000
        self._rings: SimpleQueue[tuple[str, Sequence[str]]] = SimpleQueue()
        #: A bare connection of the publisher's: a client's wrappers cost more than the call.
        self._redis: Any = None
        self._start = thread("bell", self._run)

    def ring(self, queue: str, ids: Sequence[str]) -> None:
        """Say that ``queue`` has open requests, or that stops have changed; returns at once."""
        if queue in QUEUES or queue == STOPS:
            self._rings.put((queue, ids))
            self._start()

    def _run(self) -> None:
        self._redis = None
        pending: dict[str, list[str]] = {}
        sent_at = 0.0
        while True:
            self._gather(pending, sent_at)
            try:
                for queue in [*pending]:
                    self._send(queue, pending[queue])
                    failpoints.hit("relay.before_mark")
                    del pending[queue]
                sent_at = time.monotonic()
            except (redis.RedisError, OSError, MetaQoreError) as error:
                log.warning("ring_failed", queues=sorted(pending), reason=type(error).__name__)
                self._hang_up()
                time.sleep(_PAUSE_S)

    def _gather(self, pending: dict[str, list[str]], sent_at: float) -> None:
        """Collect what is to be rung; block while there is nothing."""
        if not pending:
            self._note(pending, *self._rings.get())
        until = sent_at + self._linger_s
        while True:
            try:
                self._note(pending, *self._rings.get_nowait())
            except Empty:
                left = until - time.monotonic()
                if left <= 0 or any(len(ids) >= _IDS for ids in pending.values()):
                    return
                try:
                    self._note(pending, *self._rings.get(timeout=left))
                except Empty:
                    return

    @staticmethod
    def _note(pending: dict[str, list[str]], queue: str, ids: Sequence[str]) -> None:
        known = pending.setdefault(queue, [])
        known.extend(ids[: _IDS - len(known)])

    def _send(self, queue: str, ids: list[str]) -> None:
        failpoints.hit("relay.before_publish")
        if self._redis is None:
            self._redis = lone_client(self._redis_url).connection
        if queue == STOPS:
            self._redis.send_command("PUBLISH", STOPS_CHANNEL, b"")
        else:
            self._redis.send_command("LPUSH", f"{KEY_PREFIX}{queue}", envelope(queue, ids))
        self._redis.read_response()
        failpoints.hit("relay.after_publish")

    def _hang_up(self) -> None:
        broken, self._redis = self._redis, None
        if broken is not None:
            broken.disconnect()
