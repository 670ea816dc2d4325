"""Hears what was finished: one Redis subscriber for each process, shared by everybody who waits.

The done channel carries whole documents, so a wake needs no look at the database; it is believed only where it bears
this installation's stamp, or whoever can write to Redis could make up verdicts. Redis is only the fast way: one
poller asks the database for all waiting ids in one query, often while Redis cannot be heard and seldom while it can,
so that nobody waits for a message that was lost.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import redis
import structlog

from metaqore.adapters.authentic import Authentic
from metaqore.adapters.redis_results import lone_client
from metaqore.errors import MetaQoreError
from metaqore.per_process import PerProcess
from metaqore.queues import DONE_CHANNEL, STOPS_CHANNEL

log = structlog.get_logger(__name__)

_DONE = DONE_CHANNEL.encode()

#: Seconds of silence after which Redis is asked for a sign of life, and after which it counts as gone.
_ASK_AFTER_S, _GONE_AFTER_S = 1.0, 3.0
#: Seconds between two looks at the database while Redis is heard, and while it is not.
_POLL_HEARD_S, _POLL_DEAF_S = 2.0, 0.1
#: What is remembered at least of finished requests that nobody waited for yet, and at most twice of it: a submitter
#: learns its id only at the commit.
_RECENT_ITEMS, _RECENT_BYTES = 4096, 8 << 20


class Waiting:
    """Somebody who waits for requests to be finished."""

    __slots__ = ("_latch", "_missing", "documents")

    def __init__(self, ids: Sequence[str]) -> None:
        #: id → the finished document.
        self.documents: dict[str, bytes] = {}
        self._missing = set(ids)
        # A bare lock as a one-shot latch: half the cost of an Event.
        self._latch = threading.Lock()
        self._latch.acquire()

    def give(self, request: str, document: bytes) -> None:
        """Hand over one document; the last missing one ends the waiting. Called under the hub's lock."""
        if request in self._missing:
            self._missing.discard(request)
            self.documents[request] = document
            if not self._missing:
                self._latch.release()

    def wait(self, seconds: float) -> bool:
        """Wait until all are finished, at most ``seconds``; return whether they are."""
        if not self._missing:
            return True
        return self._latch.acquire(timeout=max(0.0, seconds))


class Subscription:
    """Somebody who follows the events of an organization."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def notify(self) -> None:
        """Say that there may be something new."""
        self._event.set()

    def wait(self, seconds: float) -> bool:
        """Wait for news, at most ``seconds``; return whether there may be some."""
        heard = self._event.wait(seconds)
        self._event.clear()
        return heard


class Announcements:
    """The hub of one process; its threads begin with the first who waits, and anew after a fork.

    Args:
        url: of Redis.
        finished: returns the documents of those ids that are finished: one query.
        authentic: knows what was said by this installation.
        refused: told the channel, and why, of what was not.
    """

    def __init__(
        self,
        url: str,
        finished: Callable[[Sequence[str]], Mapping[str, bytes]],
        authentic: Authentic,
        refused: Callable[[str, str], None],
    ) -> None:
        self._url = url
        self._finished = finished
        self._authentic = authentic
        self._refused = refused
        #: Called when something was stopped or may go on, and when that may have been missed.
        self.on_stops: Callable[[], None] = lambda: None
        self._guard = threading.Lock()
        self._waiting: dict[str, list[Waiting]] = {}
        self._subscriptions: defaultdict[str, set[Subscription]] = defaultdict(set)
        # Two generations: the older one is dropped whole, where taking the oldest out of one costs a search each time.
        self._recent: dict[bytes, bytes] = {}
        self._before: dict[bytes, bytes] = {}
        self._recent_bytes = 0
        self._heard_at = 0.0
        self._somebody = threading.Event()
        self._poll_now = threading.Event()
        #: Begins to listen, where this process does not yet.
        self.start = PerProcess(self._begin)

    @property
    def is_hearing(self) -> bool:
        """True while Redis is heard."""
        return time.monotonic() - self._heard_at < _GONE_AFTER_S

    def _begin(self) -> None:
        threading.Thread(target=self._listen, name="announcements", daemon=True).start()
        threading.Thread(target=self._poll, name="announcements-poll", daemon=True).start()

    @contextlib.contextmanager
    def waiting(self, ids: Sequence[str]) -> Iterator[Waiting]:
        """Wait for ``ids`` inside the block. Register first, look at the database then: nothing falls in between.

        What was announced in the last moments is handed over at once.
        """
        self.start()
        waiting = Waiting(ids)
        with self._guard:
            for request in ids:
                self._waiting.setdefault(request, []).append(waiting)
                known = request.encode()
                document = self._recent.get(known, self._before.get(known))
                if document:
                    waiting.give(request, document)
                elif document is not None:
                    self._poll_now.set()
        self._somebody.set()
        try:
            yield waiting
        finally:
            with self._guard:
                for request in ids:
                    self._forget(request, waiting)

    def _forget(self, request: str, waiting: Waiting) -> None:
        those = self._waiting.get(request)
        if those is not None:
            those.remove(waiting)
            if not those:
                del self._waiting[request]

    @contextlib.contextmanager
    def following(self, organization: str) -> Iterator[Subscription]:
        """Follow the events of ``organization`` inside the block."""
        self.start()
        subscription = Subscription()
        with self._guard:
            self._subscriptions[organization].add(subscription)
        try:
            yield subscription
        finally:
            with self._guard:
                self._subscriptions[organization].discard(subscription)
                if not self._subscriptions[organization]:
                    del self._subscriptions[organization]

    def _listen(self) -> None:
        pause = 0.05
        while True:
            connection: Any = None
            try:
                # RESP2, in which a message is a plain list: a client's own handling of them costs more than ours.
                connection = lone_client(self._url, timeout_s=_ASK_AFTER_S, protocol=2).connection
                self._hear(connection)
            except (redis.RedisError, OSError) as error:
                if self._heard_at > 0:
                    log.warning("announcements_lost", reason=type(error).__name__)
                pause = 0.05 if self._heard_at > 0 else min(1.0, pause * 2)
                self._heard_at = 0.0
                self._poll_now.set()
            if connection is not None:
                connection.disconnect()
            time.sleep(pause)

    def _hear(self, connection: Any) -> None:
        # Never with a health check: its answer would be taken for a message, or a message for its answer.
        connection.send_command("SUBSCRIBE", DONE_CHANNEL, STOPS_CHANNEL, check_health=False)
        heard = time.monotonic()
        while True:
            try:
                message = connection.read_response(disconnect_on_error=False)
            except redis.TimeoutError:
                if time.monotonic() - heard > _GONE_AFTER_S:
                    raise
                connection.send_command("PING", check_health=False)
                continue
            self._heard_at = heard = time.monotonic()
            self._take(message)

    def _take(self, message: Sequence[Any]) -> None:
        """Take ``[b"subscribe", channel, number]``, ``[b"message", channel, data]`` or ``[b"pong", b""]``."""
        if message[0] == b"subscribe":
            # Whatever was said before this moment was not heard.
            self._poll_now.set()
            self._notify(None)
            self.on_stops()
        elif message[0] == b"message" and message[1] == _DONE:
            done = self._authentic.opened(message[2])
            if done is None:
                self._refused(DONE_CHANNEL, "forged")
            else:
                self._take_done(done)
        elif message[0] == b"message":
            self.on_stops()
            # Whoever follows events may be one of those who were stopped.
            self._notify(None)

    def _take_done(self, done: bytes) -> None:
        organizations, _, finished = done.partition(b"\n")
        if finished:
            lines = [line.partition(b" ") for line in finished.split(b"\n")]
            with self._guard:
                documents = {request: document for request, _, document in lines}
                self._give(documents)
                self._remember(documents, len(finished))
        if organizations:
            self._notify(organizations.decode(errors="replace").split(" "))

    def tell(self, finished: Mapping[str, bytes]) -> None:
        """Hand finished documents to those who wait for them, and remember them for a moment.

        An empty one may be in no cache: it is read from the database for those who wait.
        """
        with self._guard:
            documents = {request.encode(): document for request, document in finished.items()}
            self._give(documents)
            known = self._recent, self._before
            new = {r: document for r, document in documents.items() if not any(r in those for those in known)}
            self._remember(new, sum(map(len, new.values())))

    def _give(self, finished: Mapping[bytes, bytes]) -> None:
        if not all(finished.values()):
            self._poll_now.set()
        if self._waiting:
            for known, document in finished.items():
                request = known.decode(errors="replace")
                for waiting in self._waiting.get(request, ()) if document else ():
                    waiting.give(request, document)

    def _remember(self, finished: Mapping[bytes, bytes], size: int) -> None:
        self._recent.update(finished)
        self._recent_bytes += size
        if len(self._recent) >= _RECENT_ITEMS or self._recent_bytes >= _RECENT_BYTES:
            self._before, self._recent, self._recent_bytes = self._recent, {}, 0

    def _notify(self, organizations: Sequence[str] | None) -> None:
        with self._guard:
            chosen = self._subscriptions if organizations is None else organizations
            for organization in chosen:
                for subscription in self._subscriptions.get(organization, ()):
                    subscription.notify()

    def _poll(self) -> None:
        while True:
            self._somebody.wait()
            self._poll_now.wait(_POLL_HEARD_S if self.is_hearing else _POLL_DEAF_S)
            self._poll_now.clear()
            with self._guard:
                ids = [*self._waiting]
                if not ids:
                    self._somebody.clear()
            if ids:
                try:
                    self.tell(self._finished(ids))
                except MetaQoreError as error:
                    log.warning("announcements_poll_failed", reason=error.code)
