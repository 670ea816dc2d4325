"""Keeps long work alive: extends its leases, stores how far it has come, and tells it what was taken away from it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import structlog

from metaqore import failpoints
from metaqore.messages import Request, Write
from metaqore.ongoing import Mark, Ongoing
from metaqore.requests.catalogue import Kind
from metaqore.requests.executor import Executor

log = structlog.get_logger(__name__)

#: How often work that takes long says so, at least; well below ``progress.STALLED_AFTER_MS``.
_SIGN_OF_LIFE_S = 15.0
#: How often is looked whether it is wanted, and how far it is. Work that is shorter is never looked at.
_LOOK_S = 1.0


class MarkProgress(Write, frozen=True):
    """Effect: a request that runs under this fence has come so far; nothing where it does not."""

    request: str
    fence: int
    mark: Mark
    at: int


class ForgetProgress(Write, frozen=True):
    """Effect: a request goes on no more, or from its beginning."""

    request: str


class OngoingReads(Protocol):
    """Look-ups of long work."""

    def still_running(self, fences: Mapping[str, int]) -> set[str]:
        """Return those requests that run under these fences."""


class _Heart:
    """Looks after one batch."""

    def __init__(self, executor: Executor, kind: Kind, batch: Sequence[Request], ongoing: Ongoing) -> None:
        self._executor, self._kind, self._batch, self._ongoing = executor, kind, batch, ongoing
        self._period = min(kind.lease_s / 3, _SIGN_OF_LIFE_S)
        self._extended = time.monotonic()
        #: How long to wait between two beats, in seconds.
        self.pause = min(self._period, _LOOK_S)

    def beat(self) -> None:
        """Extend leases where it is time, store what is new, and take away what is no longer ours."""
        executor, now = self._executor, time.monotonic()
        due = now - self._extended >= self._period
        if due:
            executor.looked(self._kind.queue, 0)
        news = self._ongoing.news()
        try:
            if due or news:
                with executor.store.write() as tx:
                    at = executor.clock()
                    if due:
                        tx.requests.extend(self._batch, at + self._kind.lease_s * 1000)
                    tx.apply([
                        MarkProgress(r.id, r.fence, news[r.id], at)
                        for r in self._batch if r.id in news
                    ])  # fmt: skip
                self._extended = now if due else self._extended
            self._look()
        except Exception as error:
            # The next beat may succeed; without it the work would be done again beside this one.
            log.warning("heartbeat_failed", requests=[r.id for r in self._batch], reason=type(error).__name__)

    def _look(self) -> None:
        fences = {request.id: request.fence for request in self._batch}
        with self._executor.store.read() as tx:
            reads: OngoingReads = tx.reads("ongoing")
            self._ongoing.take_away(fences.keys() - reads.still_running(fences))


@contextmanager
def heartbeat(executor: Executor, kind: Kind, batch: Sequence[Request], ongoing: Ongoing) -> Iterator[None]:
    """Look after ``batch`` in a thread of its own for as long as the work on it goes on."""
    stop = threading.Event()
    heart = _Heart(executor, kind, batch, ongoing)

    def beat() -> None:
        while not stop.wait(heart.pause):
            if not failpoints.hit("heartbeat.skip"):
                heart.beat()

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
