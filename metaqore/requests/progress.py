"""Whether workers make progress: the sign of life that counts, because a ping is answered by a worker that is stuck.

A drain notes after each batch that its queue was looked after, and long work that it still goes on. A queue whose
requests have been due for a while although nobody looked has lost its workers' attention (a broker connection that
consumes nothing is the known case); such a worker ends itself, and whoever started it starts it again. What is due on
the system queue are deliveries, and whatever beat fires is a look at it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from metaqore.errors import MetaQoreError
from metaqore.requests.ports import Store

#: After how long without a drain, while something is due, a worker counts as stuck, in milliseconds.
STALLED_AFTER_MS = 60_000
#: Notes are written at most this often, in seconds.
_NOTE_EVERY_S = 5.0


class ProgressReads(Protocol):
    """Look-ups of progress."""

    def oldest_due(self, now: int) -> Mapping[str, int]:
        """Return queue → since when (ms) its longest waiting request, or delivery, could be claimed."""

    def looked_after(self) -> Mapping[str, int]:
        """Return queue → when (ms) a worker last drained it."""


class Progress:
    """Notes that this process drains its queue."""

    def __init__(self, store: Store, worker: str, clock: Callable[[], int]) -> None:
        self._store = store
        self._worker = worker
        self._clock = clock
        self._noted: dict[str, float] = {}
        self._unsaid: Counter[str] = Counter()
        self._guard = threading.Lock()

    def note(self, queue: str, drained: int) -> None:
        """Say that ``queue`` was looked after. A database that cannot be written now is no reason to fail.

        Args:
            drained: how many requests were finished; counted with the next note where this one comes too soon.
        """
        with self._guard:
            now = time.monotonic()
            self._unsaid[queue] += drained
            if now - self._noted.get(queue, -_NOTE_EVERY_S) < _NOTE_EVERY_S:
                return
            self._noted[queue], told = now, self._unsaid.pop(queue)
        try:
            with self._store.write() as tx:
                tx.note_progress(self._worker, queue, self._clock(), told)
        except MetaQoreError:
            with self._guard:
                self._noted.pop(queue, None)
                self._unsaid[queue] += told


def stalled(reads: ProgressReads, queues: Collection[str], *, now: int, started_at: int) -> list[str]:
    """Return those of ``queues`` that have had something due for long while no worker looked.

    Args:
        started_at: when (ms) the asking worker began; before that it could not have looked.
    """
    since = reads.oldest_due(now)
    looked = reads.looked_after()
    return sorted(
        queue
        for queue in queues
        if queue in since and now - max(since[queue], looked.get(queue, 0), started_at) > STALLED_AFTER_MS
    )
