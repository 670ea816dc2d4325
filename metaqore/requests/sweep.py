"""The sweep: whatever is accepted and not finished is rung again, and what cannot finish ends as dead.

Redis may lose everything; the cost is the time until the next sweep.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import structlog

from metaqore import failpoints
from metaqore.requests.attempts import exhausted
from metaqore.requests.executor import Executor
from metaqore.requests.ports import Bell

log = structlog.get_logger(__name__)


class SweepReads(Protocol):
    """Look-ups of what is open."""

    def due(self, now: int) -> Mapping[str, int]:
        """Return queue → how many requests could be claimed now."""

    def worn_out(self, now: int, max_attempts: int, limit: int) -> list[str]:
        """Return ids of requests whose last allowed attempt ended without an outcome."""


def sweep(executor: Executor, bell: Bell, *, now: int) -> Mapping[str, int]:
    """Ring every queue that has something to do; return queue → how many requests are due there."""
    if failpoints.hit("sweep.off"):
        return {}
    with executor.store.read() as tx:
        reads: SweepReads = tx.reads("requests")
        due = dict(reads.due(now))
        receivers: int = tx.reads("delivery").due(now)
    for queue in due:
        bell.ring(queue, [])
    if receivers:
        due["receivers"] = receivers
        bell.ring("system", [])
    if due:
        log.info("swept", **due)
    return due


def bury(executor: Executor, *, now: int, limit: int = 256) -> int:
    """End requests that have used up their attempts without an outcome; return how many."""
    with executor.store.read() as tx:
        ids = tx.reads("requests").worn_out(now, executor.limits.max_attempts, limit)
    buried = 0
    for request in executor.load_open(ids):
        buried += executor.finish([request], [exhausted()], leased=True)
    return buried
