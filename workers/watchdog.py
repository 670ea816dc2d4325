"""Ends this worker when its queues have work that nobody takes: progress is the sign of life, not a ping.

Nobody may have rung, though: beat rings for retries and deliveries, and may be down. So the queue is rung first, and
who does not come to that is deaf. Whoever started the worker starts it again. The orderly way comes first: what runs
is finished, or handed back. But Celery only notes that it was asked and looks when its main thread comes back, which
that of a stuck worker never does.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Collection

import structlog

from metaqore.clock import now_ms
from metaqore.errors import MetaQoreError
from metaqore.requests.ports import Bell
from metaqore.requests.progress import stalled

log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 10.0
#: Looks in a row at a queue that was rung, and to which nobody came.
_RINGS = 3
#: What is tried in turn, and for how many seconds each is waited for.
_WAYS: tuple[tuple[signal.Signals, float], ...] = (
    (signal.SIGTERM, 30.0),
    (signal.SIGQUIT, 15.0),
    (signal.SIGKILL, 0.0),
)


def start(queues: Collection[str]) -> None:
    """Watch ``queues`` from a thread of the worker's main process."""
    threading.Thread(target=_watch, args=(frozenset(queues), now_ms()), name="watchdog", daemon=True).start()


def _watch(queues: frozenset[str], started_at: int) -> None:
    from workers.engine import WorkerBell, engine

    rings = Rings(WorkerBell())
    while not threading.Event().wait(_LOOK_EVERY_S):
        try:
            with engine().store.read() as tx:
                stuck = stalled(tx.reads("requests"), queues, now=now_ms(), started_at=started_at)
        except MetaQoreError:
            continue  # Without the database there is nothing to be done, and nothing to be blamed for.
        if deaf := rings.unanswered(stuck):
            log.error("worker_stalled", queues=deaf)
            _end()


class Rings:
    """Rings for queues to which nobody has come for long."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._rung: Counter[str] = Counter()

    def unanswered(self, stuck: Collection[str]) -> list[str]:
        """Ring the ``stuck`` queues of one look; return those that were rung before, and to which nobody came."""
        self._rung = Counter({queue: self._rung[queue] for queue in stuck})
        deaf = [queue for queue in stuck if self._rung[queue] >= _RINGS]
        for queue in stuck:
            log.warning("queue_rung", queue=queue)
            self._bell.ring(queue, [])
            self._rung[queue] += 1
        return deaf


def _end() -> None:
    for way, seconds in _WAYS:
        log.error("worker_ended", signal=way.name)
        os.kill(os.getpid(), way)
        threading.Event().wait(seconds)
