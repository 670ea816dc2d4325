"""The fast path of a verification: many entries at a time, and blocks of them in several processes.

A block is a run of entries. Checking it hashes each body once, compares hash, number and columns by whole lists, and
builds the Merkle subtree; only where something differs does ``metaqore.audit.diagnose`` look at single rows.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

from metaqore.audit.merkle import CompactRange, leaf_hashes
from metaqore.audit.source import CannotRead, Chunk, Source, fields_of

#: Entries per block: a power of two, so that a block is one subtree.
BLOCK_HEIGHT = 14
BLOCK_ENTRIES = 1 << BLOCK_HEIGHT
#: Later than any time.
_LATE = 1 << 62


class Segment(NamedTuple):
    """The entries up to a cut: perfect-subtree roots from the block's start, and what their times did.

    ``drop_ms`` is how far a time fell below the highest before it in the segment.
    """

    end: int
    roots: list[bytes]
    min_ts: int
    max_ts: int
    drop_ms: int


@dataclass(frozen=True, slots=True)
class Block:
    """A checked run of entries ``first <= seq < first + count``."""

    first: int
    count: int
    segments: list[Segment]


@dataclass(frozen=True, slots=True)
class BlockTask:
    """What to check: entries from ``first``, at most ``count``, and the sizes at which roots are wanted."""

    organization: str
    first: int
    count: int
    cuts: list[int]


def check_block(source: Source, task: BlockTask, tree: CompactRange, *, lenient: bool = False) -> Block | None:
    """Return the checked block, None where some entry is not as it should be.

    Args:
        tree: the tree before the block, which is extended; an empty one where only the subtree is wanted.
        lenient: take the bodies as they are and demand only that they can be read in order.
    """
    segments: list[Segment] = []
    cuts = deque(sorted({*task.cuts, task.first + task.count - 1}))
    done = task.first - 1
    times = _Times()
    try:
        for chunk in source.chunks(task.organization, task.first, task.count):
            digests = leaf_hashes(chunk.bodies)
            if tuple(chunk.seqs) != tuple(range(done + 1, done + 1 + len(digests))):
                return None
            if not lenient and not _agrees(chunk, digests) and not _agrees_exactly(source, task, chunk, digests):
                return None
            at = 0
            while at < len(digests):
                upto = min(len(digests), at + cuts[0] - done)
                tree.extend(digests[at:upto])
                times.see(chunk.bodies[at:upto])
                done += upto - at
                at = upto
                if done == cuts[0]:
                    segments.append(Segment(cuts.popleft(), tree.roots(), times.lowest, times.highest, times.drop))
                    times = _Times()
    except (TypeError, ValueError, CannotRead):
        # A value of a type that MetaQore never writes.
        return None
    return Block(task.first, done - task.first + 1, segments)


def run_blocks(source: Source, tasks: Iterator[BlockTask], processes: int) -> Iterator[tuple[BlockTask, Block | None]]:
    """Yield each task's block, subtree only, in order; several processes read ahead, a few blocks at a time."""
    global _worker_source
    # Forked children inherit how to open the log; what was open stays the parent's.
    _worker_source = source
    waiting: deque[tuple[BlockTask, Future[Block | None]]] = deque()
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_reopen) as pool:
        try:
            for task in tasks:
                waiting.append((task, pool.submit(_run, task)))
                if len(waiting) > 2 * processes:
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def usable_processes() -> int:
    """Return how many processors this process may use, 1 where processes cannot be forked."""
    if "fork" not in multiprocessing.get_all_start_methods():
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_worker_source: Source | None = None


def _reopen() -> None:
    global _worker_source
    assert _worker_source is not None
    _worker_source = _worker_source.reopen()


def _run(task: BlockTask) -> Block | None:
    assert _worker_source is not None
    return check_block(_worker_source, task, CompactRange())


def _agrees(chunk: Chunk, digests: list[bytes]) -> bool:
    return tuple(digests) == tuple(chunk.stated) and all(map(bytes.endswith, chunk.bodies, chunk.tails))


def _agrees_exactly(source: Source, task: BlockTask, chunk: Chunk, digests: list[bytes]) -> bool:
    again = source.chunks(task.organization, chunk.seqs[0], len(digests), exact=True)
    return _agrees(next(again), digests)


class _Times:
    """What the times of entries do: the lowest, the highest, how far one falls below a higher one before it (ms)."""

    def __init__(self) -> None:
        self.lowest = _LATE
        self.highest = 0
        self.drop = 0

    def see(self, bodies: Sequence[bytes]) -> None:
        """Go on with the entries that follow; bytes that are no entry have no time."""
        # The last fields of an entry are its time, of 13 digits until the year 2286, and its version.
        stamps = [body[-25:-7] for body in bodies]
        if all(map(bytes.startswith, stamps, repeat(b'"ts":'))) and b"".join(stamps).replace(b'"ts":', b"").isdigit():
            if stamps == sorted(stamps):
                self._pass(int(stamps[0][5:]), int(stamps[-1][5:]))
                return
            times = [int(stamp[5:]) for stamp in stamps]
        else:
            times = [fields["ts"] for fields in map(fields_of, bodies) if fields is not None]
        for ts in times:
            self._pass(ts, ts)

    def _pass(self, first: int, last: int) -> None:
        self.drop = max(self.drop, self.highest - first)
        self.lowest = min(self.lowest, first)
        self.highest = max(self.highest, last)
