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
from typing import NamedTuple

from metaqore.audit.merkle import CompactRange, leaf_hashes
from metaqore.audit.source import CannotRead, Chunk, Source

#: Entries per block: a power of two, so that a block is one subtree.
BLOCK_HEIGHT = 14
BLOCK_ENTRIES = 1 << BLOCK_HEIGHT


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
    cuts = iter([*task.cuts, task.first + task.count - 1])
    cut = next(cuts)
    done = task.first - 1
    try:
        for chunk in source.chunks(task.organization, task.first, task.count):
            digests = _digests(chunk, done, lenient)
            if digests is None:
                return None
            at = 0
            while at < len(digests):
                upto = min(len(digests), at + cut - done)
                tree.extend(digests[at:upto])
                segments.append(_segment(done + upto - at, tree, chunk[1][at:upto]))
                done += upto - at
                at = upto
                if done == cut:
                    cut = next(cuts, cut + 1)
    except (TypeError, ValueError, CannotRead):
        # A value of a type that MetaQore never writes.
        return None
    return Block(task.first, done - task.first + 1, _merge(segments, task.cuts))


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


def _digests(chunk: Chunk, done: int, lenient: bool) -> list[bytes] | None:
    seqs, _, bodies, stated, tails = chunk
    digests = leaf_hashes(bodies)
    if list(seqs) != list(range(done + 1, done + 1 + len(seqs))):
        return None
    if not lenient and (digests != list(stated) or not all(map(bytes.endswith, bodies, [t[1:] for t in tails]))):
        return None
    return digests


def _segment(end: int, tree: CompactRange, times: Sequence[int]) -> Segment:
    highest, drop = times[0], 0
    if list(times) != sorted(times):
        for ts in times:
            highest = max(highest, ts)
            drop = max(drop, highest - ts)
    return Segment(end, tree.roots(), min(times), max(times), drop)


def _merge(segments: list[Segment], cuts: list[int]) -> list[Segment]:
    """Join the segments that ended with a chunk and not with a cut."""
    wanted = set(cuts)
    merged: list[Segment] = []
    for segment in segments:
        if merged and merged[-1].end not in wanted:
            last = merged.pop()
            segment = Segment(
                segment.end,
                segment.roots,
                min(last.min_ts, segment.min_ts),
                max(last.max_ts, segment.max_ts),
                max(last.drop_ms, segment.drop_ms, last.max_ts - segment.min_ts),
            )
        merged.append(segment)
    return merged
