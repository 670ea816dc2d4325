"""What a worker does when its queue is rung.

Where the database has one writer at a time, a ring is sent before its commit, so that the two take no longer than the
longer of them. Whoever rings holds the write lock until the commit: who hears of a request and does not find it takes
that lock once, and what was committed is there then, or never will be.
"""

from __future__ import annotations

from collections.abc import Iterable

from metaqore.requests import long_work
from metaqore.requests.executor import Executor


def answer(executor: Executor, queue: str, ids: Iterable[str] = ()) -> int:
    """Do everything that is open on ``queue``; return how many requests were decided or settled.

    Args:
        ids: some of the requests that were rung for.

    Raises:
        Unavailable: the database cannot be reached; nothing is lost, the sweep rings again.
    """
    heard = set(ids)
    done = executor.drain(queue, heard) + long_work.drain(executor, queue, heard)
    if heard and executor.store.one_writer:
        with executor.store.write():
            pass
        done += executor.drain(queue) + long_work.drain(executor, queue)
    return done
