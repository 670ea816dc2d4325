"""Claims what is due, sends it from a pool of threads, and records what came of it.

A delivery is claimed under a lease and a raised fence, like a request. Whoever crashes between sending and recording
leaves a lease that ends; it is sent again then, with the same ``webhook-id``. Recording and the next claim share one
transaction. Results are recorded as they come, so that a receiver that hangs holds up its own deliveries and nobody
else's.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import msgspec
import structlog

from metaqore import failpoints
from metaqore.audit.tags import Tag
from metaqore.clock import now_ms
from metaqore.delivery.model import DEAD_EVENT, DISABLED_EVENT, OWN_EVENTS, RETRY_AFTER_S, Attempted, Delivery
from metaqore.delivery.ports import DeliveryRows, Journal, NewJournal, Store
from metaqore.delivery.webhooks import Sender, judge
from metaqore.errors import Contention
from metaqore.messages import AuditNote, EventNote

log = structlog.get_logger(__name__)

#: Who did it, in audit entries.
ACTOR = "metaqore"
#: What a lease allows beyond the sender's deadline, for the way to a thread and back, in milliseconds.
_LEASE_MARGIN_MS = 15_000
#: Results come in bursts; a moment makes one commit of them, in seconds.
_LINGER_S = 0.005

Done: TypeAlias = tuple[Delivery, Attempted]


class Bulkheads(msgspec.Struct, frozen=True, kw_only=True):
    """How many deliveries may be on their way at once: in this process, to one endpoint, of one organization.

    An organization has a fifth of the threads, which is more than the tenth part of its endpoints can hold up.
    """

    threads: int = 128
    per_endpoint: int = 2
    per_organization: int = 25


class Dispatcher:
    """One per process. ``run`` may be called from any thread, as often as somebody rings."""

    def __init__(
        self,
        store: Store,
        sender: Sender,
        journal: NewJournal,
        announce: Callable[[Any], None],
        *,
        bulkheads: Bulkheads | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._store = store
        self._sender = sender
        self._journal = journal
        self._announce = announce
        self._bulkheads = bulkheads or Bulkheads()
        self._clock = clock
        self._lease_ms = int(sender.timeout_s * 1000) + _LEASE_MARGIN_MS
        self._running = threading.Lock()
        self._rung = threading.Event()
        #: What came back from the threads; None says "look again".
        self._mail: queue.SimpleQueue[Done | None] = queue.SimpleQueue()
        self._done: list[Done] = []
        self._flying = 0
        self._pool: ThreadPoolExecutor | None = None

    def run(self, stop: Callable[[], bool] = lambda: False) -> int:
        """Deliver until nothing is due and nothing is on its way; return how many attempts were recorded.

        Where another thread is at it already, that one is told to look again, and this returns 0 at once.

        Args:
            stop: becomes true when the process is asked to end: what is on its way is finished, nothing is begun.

        Raises:
            Unavailable: the database cannot be reached; what came back meanwhile is kept for the next call.
        """
        self._rung.set()
        self._mail.put(None)
        total = 0
        while self._rung.is_set() and self._running.acquire(blocking=False):
            try:
                total += self._until_idle(stop)
            finally:
                self._running.release()
        return total

    def close(self) -> None:
        """Wait for what is on its way."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)

    def _until_idle(self, stop: Callable[[], bool]) -> int:
        recorded = 0
        while True:
            self._rung.clear()
            self._collect()
            recorded += self._turn(may_claim=not stop())
            if self._flying == 0 and not self._done:
                return recorded
            self._wait()

    def _wait(self) -> None:
        """Wait for a result or a ring, and for what comes with it as long as more is on its way."""
        self._open(self._mail.get())
        end = time.monotonic() + _LINGER_S
        while self._flying:
            try:
                self._open(self._mail.get(timeout=max(0.0, end - time.monotonic())))
            except queue.Empty:
                return

    def _collect(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._open(self._mail.get_nowait())

    def _open(self, message: Done | None) -> None:
        if message is not None:
            self._done.append(message)
            self._flying -= 1

    def _turn(self, *, may_claim: bool) -> int:
        """Record what is done and claim what is due, in one transaction; return how many were recorded."""
        room = self._bulkheads.threads - self._flying if may_claim else 0
        if not self._done and (room == 0 or not self._something_due()):
            return 0
        try:
            recorded, claimed, journal = self._commit(room)
        except Contention:
            recorded, claimed, journal = self._commit(room)
        self._done.clear()
        for delivery in claimed:
            self._threads().submit(self._attempt, delivery)
            self._flying += 1
        self._announce(journal)
        return recorded

    def _something_due(self) -> bool:
        # A look costs no lock; most rings find that another has been here.
        with self._store.read() as tx:
            rows: DeliveryRows = tx.reads("delivery")
            return rows.due(self._clock()) > 0

    def _commit(self, room: int) -> tuple[int, list[Delivery], Journal]:
        if self._done:
            failpoints.hit("webhook.before_mark")
        limits = self._bulkheads
        with self._store.write() as tx:
            now = self._clock()
            rows: DeliveryRows = tx.reads("delivery")
            journal = self._journal(now)
            mine = rows.record([attempted for _, attempted in self._done])
            for delivery, attempted in self._done:
                if delivery.id in mine:
                    _note(journal, rows, delivery, attempted, now)
            claimed = rows.claim(
                now, lease_ms=self._lease_ms, limit=room, per_endpoint=limits.per_endpoint,
                per_organization=limits.per_organization,
            ) if room else []  # fmt: skip
            journal.flush(tx)
        return len(mine), claimed, journal

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._bulkheads.threads, thread_name_prefix="webhook")
        return self._pool

    def _attempt(self, delivery: Delivery) -> None:
        """Send; whatever happens, something comes back, or nobody would ever stop waiting for it."""
        try:
            attempted = self._given_up(delivery) or self._sender.attempt(delivery)
        except Exception as error:
            log.exception("webhook_attempt_failed", delivery=delivery.id)
            attempted = self._failed(delivery, f"internal: {type(error).__name__} while sending")
        self._mail.put((delivery, attempted))

    def _given_up(self, delivery: Delivery) -> Attempted | None:
        """End a delivery of which every attempt was begun and the last never recorded: it may be what kills us."""
        if delivery.attempt <= len(RETRY_AFTER_S) + 1:
            return None
        return self._failed(delivery, "abandoned: the last attempt ended without a record")

    def _failed(self, delivery: Delivery, error: str) -> Attempted:
        return judge(delivery, None, error, now=self._clock(), latency_ms=0, jitter=0.0)


def _note(journal: Journal, rows: DeliveryRows, delivery: Delivery, attempted: Attempted, now: int) -> None:
    """Note the audit entry and the events of one attempt, and change its endpoint where the receiver asked for it."""
    endpoint = delivery.endpoint
    delivered = attempted.state == "delivered"
    about = {"endpoint": endpoint.id, "event": delivery.event_id, "attempt": delivery.attempt}
    told = {**about, "status": attempted.status, "reason": attempted.reason}
    tag = Tag.DELIVERY_DELIVERED if delivered else Tag.DELIVERY_FAILED
    _audit(journal, delivery, AuditNote(tag=tag, subject=delivery.id, outcome=attempted.state, details=told))
    # An event that could not be delivered about an event that could not be delivered would never end.
    if attempted.state == "dead" and not delivery.event_type.startswith(OWN_EVENTS):
        dead = {**told, "delivery": delivery.id, "event_type": delivery.event_type}
        _event(journal, delivery, EventNote(DEAD_EVENT, endpoint.id, dead))
    if attempted.pause_until is not None:
        rows.pause(endpoint, attempted.pause_until)
    if attempted.disable_endpoint and rows.disable(endpoint, "gone: the receiver answered 410", now):
        note = AuditNote(tag=Tag.ENDPOINT_DISABLED, subject=endpoint.id, outcome="disabled", details={"reason": "gone"})
        _audit(journal, delivery, note)
        _event(journal, delivery, EventNote(DISABLED_EVENT, endpoint.id, {"endpoint": endpoint.id, "reason": "gone"}))


def _audit(journal: Journal, delivery: Delivery, note: AuditNote) -> None:
    journal.note(delivery.organization, ACTOR, note, project=delivery.project, request=delivery.request_id)


def _event(journal: Journal, delivery: Delivery, event: EventNote) -> None:
    journal.announce(delivery.organization, event, project=delivery.project, request=delivery.request_id)
