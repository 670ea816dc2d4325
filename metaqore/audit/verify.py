"""The offline verification of a log: one pass over its entries, in constant memory, trusting nobody here.

Each entry's hash, number and columns are checked against its bytes, the Merkle tree is rebuilt, and its roots are held
against every checkpoint there is: those stored with the log, those that a witness file remembers, and the one that the
auditor kept. Imports nothing of the server; needs the standard library and ``cryptography``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from metaqore.audit.anchors import (
    Anchor,
    Trust,
    in_order,
    since_anchor,
    stored_anchors,
    witness_anchors,
    witnessed_logs,
)
from metaqore.audit.block import BLOCK_ENTRIES, BLOCK_HEIGHT, Block, BlockTask, Segment, check_block, run_blocks
from metaqore.audit.database import DatabaseSource
from metaqore.audit.diagnose import examine
from metaqore.audit.findings import Attack, Finding, Verdict
from metaqore.audit.judge import Evidence, judge
from metaqore.audit.merkle import CompactRange, perfect_ranges, tile_root
from metaqore.audit.reconcile import reconcile
from metaqore.audit.source import Source, fields_of
from metaqore.errors import InvalidInput

#: How far a time may fall behind an earlier one: several writers, each with its own clock.
DEFAULT_TOLERANCE_MS = 60_000
#: Below this many entries, starting processes costs more than it saves.
PARALLEL_FROM = 4 * BLOCK_ENTRIES


@dataclass(frozen=True)
class Options:
    """What an auditor brings along. Made before the log is opened: see ``witness``.

    Args:
        trust: the verifier keys of the log.
        witness: a witness file kept outside, as it is now: what a running installation adds to it from now on is about
            entries that a log opened before may not have.
        since: a signed note kept from an earlier verification. Where the stored tiles still lead to its root, only the
            entries after it are read.
        tolerance_ms: how far times may go backwards, and how long the newest entries may be unsealed.
        processes: how many processes check blocks of a database.
        reconcile: hold the log against what was done, where the source is a whole database.
    """

    trust: Trust = field(default_factory=Trust)
    witness: Path | None = None
    since: str | None = None
    tolerance_ms: int = DEFAULT_TOLERANCE_MS
    processes: int = 1
    reconcile: bool = True
    #: Bytes of the witness file.
    witness_size: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Note how much the witness knows."""
        if self.witness is not None and self.witness.is_file():
            object.__setattr__(self, "witness_size", self.witness.stat().st_size)


def verify(source: Source, options: Options, progress: Callable[[int], None] = lambda _: None) -> list[Verdict]:
    """Verify every log of a source, and that no log which a witness remembers is gone.

    Args:
        progress: called with the number of entries checked since it was called last.
    """
    organizations = source.organizations()
    verdicts = [verify_log(source, organization, options, progress) for organization in organizations]
    if options.witness is not None and source.has_columns:
        remembered = witnessed_logs(options.witness, options.trust, options.witness_size)
        for organization in sorted(remembered - set(organizations)):
            lost = Verdict(organization)
            lost.findings.append(Finding(Attack.TRUNCATED, 1, 1, "the whole log is gone, a witness remembers it"))
            verdicts.append(lost)
    return verdicts


def verify_log(
    source: Source, organization: str, options: Options, progress: Callable[[int], None] = lambda _: None
) -> Verdict:
    """Verify one organization's log."""
    verdict = _Run(source, organization, options, progress).verdict()
    if options.reconcile and isinstance(source, DatabaseSource):
        reconcile(source, verdict)
    return verdict


class _Run:
    def __init__(self, source: Source, organization: str, options: Options, progress: Callable[[int], None]) -> None:
        self._source = source
        self._organization = organization
        self._options = options
        self._progress = progress
        self._verdict = Verdict(organization)
        self._seen = Evidence()
        self._tree = CompactRange()
        self._last = source.last_seq(organization)
        self._newest_ts = 0
        #: The latest time at which a witness held all entries before the present one.
        self._floor_ts = 0
        self._lenient = False
        self._planned: deque[list[Anchor]] = deque()

    def verdict(self) -> Verdict:
        since = self._since()
        self._anchors = _Peekable(in_order(self._streams(since)))
        if since is not None and since.believed:
            self._resume(since)
        for anchor in self._anchors.upto(self._tree.size):
            if anchor.size < 0 or anchor.size == self._tree.size:
                self._meet(anchor, self._tree.root())
        for task, block in self._blocks():
            anchors = self._planned.popleft()
            block = self._whole(task, block)
            if block is None:
                self._seen.complete = False
                break
            self._take(task, block, anchors)
        if self._seen.complete:
            self._finish()
        self._verdict.entries = self._seen.entries = self._tree.size
        self._verdict.sealed = self._seen.signed
        judge(self._source, self._seen, self._options.trust, self._verdict)
        self._doubt()
        return self._verdict

    def _streams(self, since: Anchor | None) -> list[Iterator[Anchor]]:
        trust = self._options.trust
        streams = [stored_anchors(self._source, self._organization, trust)]
        if self._options.witness is not None:
            witness, known = self._options.witness, self._options.witness_size
            streams.append(witness_anchors(witness, self._organization, trust, self._verdict.notes.append, known))
        if since is not None and since.believed:
            streams.append(iter([since]))
        return streams

    def _since(self) -> Anchor | None:
        if self._options.since is None:
            return None
        anchor = since_anchor(self._options.since, self._organization, self._options.trust)
        if not anchor.believed:
            self._verdict.doubts.append(f"the checkpoint given with --since cannot be used: {anchor.why}")
        return anchor

    def _resume(self, since: Anchor) -> None:
        """Start after ``since`` where the stored tiles lead to its root; else begin with entry 1."""
        if not 0 < since.size <= self._last:
            return

        def reader(level: int, index: int) -> bytes:
            return self._source.tile(self._organization, level, index)

        try:
            roots = [tile_root(part, reader) for part in perfect_ranges((0, since.size))]
        except InvalidInput:
            return
        tree = CompactRange.from_roots(since.size, roots)
        if tree.root() == since.root:
            self._tree = tree
            last = self._source.row(self._organization, since.size)
            fields = fields_of(last.body) if last is not None else None
            self._newest_ts = fields["ts"] if fields else 0
            self._verdict.notes.append(f"entries 1 to {since.size} were not read again")

    def _blocks(self) -> Iterator[tuple[BlockTask, Block | None]]:
        left = self._last - self._tree.size
        if self._options.processes > 1 and left >= PARALLEL_FROM and _is_apart(self._tree.size):
            yield from run_blocks(self._source, self._tasks(), self._options.processes)
            return
        for task in self._tasks():
            yield task, check_block(self._source, task, self._start_of(task))

    def _tasks(self) -> Iterator[BlockTask]:
        done = self._tree.size
        while done < self._last:
            end = min(done - done % BLOCK_ENTRIES + BLOCK_ENTRIES, self._last)
            anchors = list(self._anchors.upto(end))
            self._planned.append(anchors)
            cuts = sorted({anchor.size for anchor in anchors if done < anchor.size <= end})
            yield BlockTask(self._organization, done + 1, end - done, cuts)
            done = end

    def _start_of(self, task: BlockTask) -> CompactRange:
        """Return the tree that a block extends: an empty one where the block is a subtree of its own."""
        if _is_apart(task.first - 1):
            return CompactRange()
        return CompactRange.from_roots(self._tree.size, self._tree.roots())

    def _whole(self, task: BlockTask, block: Block | None) -> Block | None:
        """Return the block though an entry of it is bad in itself; None where the order ends."""
        if block is not None and block.count == task.count:
            return block
        if not self._lenient:
            diagnosis = examine(self._source, self._organization, task.first, task.first + task.count - 1)
            self._seen.diagnosis = diagnosis
            if diagnosis is not None and diagnosis.ends_order:
                return None
            self._lenient = diagnosis is not None
        # From here on the bodies are taken as they are: the roots will tell.
        block = check_block(self._source, task, self._start_of(task), lenient=True)
        return block if block is not None and block.count == task.count else None

    def _take(self, task: BlockTask, block: Block, anchors: list[Anchor]) -> None:
        before = self._tree
        waiting = deque(anchors)
        start = task.first
        for segment in block.segments:
            self._check_times(start, segment)
            self._newest_ts = max(self._newest_ts, segment.max_ts)
            start = segment.end + 1
            if waiting and waiting[0].size <= segment.end:
                root = _joined(before, segment).root()
                while waiting and waiting[0].size <= segment.end:
                    self._meet(waiting.popleft(), root)
        if block.segments:
            self._tree = _joined(before, block.segments[-1])
        self._progress(block.count)

    def _meet(self, anchor: Anchor, root: bytes) -> None:
        self._seen.weigh(anchor, root)
        if anchor.ts_ms is not None and anchor.root == root:
            self._floor_ts = max(self._floor_ts, anchor.ts_ms)
            if self._newest_ts > anchor.ts_ms + self._options.tolerance_ms and self._seen.backdated is None:
                why = f"an entry up to here is dated after a witness had seen it, at {_when(anchor.ts_ms)}"
                self._seen.backdated = Finding(Attack.BACKDATED, anchor.size, anchor.size, why)

    def _check_times(self, start: int, segment: Segment) -> None:
        tolerance = self._options.tolerance_ms
        floor = max(self._newest_ts, self._floor_ts)
        if self._seen.backdated is not None or max(segment.drop_ms, floor - segment.min_ts) <= tolerance:
            return
        for row in self._source.rows(self._organization, start):
            fields = fields_of(row.body)
            if fields is None:
                return
            if fields["ts"] < floor - tolerance:
                why = f"dated {_when(fields['ts'])}, though what came before it was written at {_when(floor)}"
                self._seen.backdated = Finding(Attack.BACKDATED, fields["seq"], fields["seq"], why)
                return
            floor = max(floor, fields["ts"])

    def _finish(self) -> None:
        """Meet what lies beyond the last entry."""
        if self._seen.diagnosis is None and self._source.strays(self._organization):
            self._seen.diagnosis = examine(self._source, self._organization, self._tree.size + 1, None)
        for anchor in self._anchors.rest():
            self._seen.weigh_beyond(anchor)

    def _doubt(self) -> None:
        verdict, seen = self._verdict, self._seen
        if not seen.complete and not verdict.findings:
            verdict.doubts.append(f"the entries from {verdict.entries + 1} on could not be read in order")
        if not self._options.trust.log_names:
            verdict.doubts.append("no signature was checked: give the log's verifier key with --trust")
        elif verdict.entries and not seen.signed and not verdict.findings:
            verdict.doubts.append("no checkpoint with a trusted signature covers any entry")
        elif verdict.entries > seen.signed and not verdict.findings:
            self._doubt_tail()
        if not self._source.is_complete():
            verdict.doubts.append("the export has no last line: it was cut off or is still being written")

    def _doubt_tail(self) -> None:
        """The newest entries are sealed a moment after they are written; only if they stay unsealed, it matters."""
        first = self._seen.signed + 1
        row = self._source.row(self._organization, first)
        fields = fields_of(row.body) if row is not None else None
        count = self._verdict.entries - self._seen.signed
        if fields is None or self._newest_ts - fields["ts"] > self._options.tolerance_ms:
            self._verdict.doubts.append(f"the last {count} entries, from {first} on, are not covered by any signature")
        else:
            self._verdict.notes.append(f"the newest {count} entries are not sealed yet")


class _Peekable:
    """Anchors, taken as far as a size."""

    def __init__(self, anchors: Iterator[Anchor]) -> None:
        self._anchors = anchors
        self._held: Anchor | None = next(anchors, None)

    def upto(self, size: int) -> Iterator[Anchor]:
        while self._held is not None and self._held.size <= size:
            yield self._held
            self._held = next(self._anchors, None)

    def rest(self) -> Iterator[Anchor]:
        while self._held is not None:
            yield self._held
            self._held = next(self._anchors, None)


def _when(ts_ms: int) -> str:
    try:
        return datetime.fromtimestamp(ts_ms / 1000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return f"{ts_ms} ms"


def _is_apart(size: int) -> bool:
    """Tell whether a block after ``size`` entries is checked as a subtree of its own."""
    return size % BLOCK_ENTRIES == 0


def _joined(before: CompactRange, segment: Segment) -> CompactRange:
    """Return the tree up to the end of a segment of the block after ``before``."""
    if not _is_apart(before.size):
        return CompactRange.from_roots(segment.end, segment.roots)
    if segment.end - before.size == BLOCK_ENTRIES:
        tree = CompactRange.from_roots(before.size, before.roots())
        tree.append_subtree(BLOCK_HEIGHT, segment.roots[0])
        return tree
    return CompactRange.from_roots(segment.end, [*before.roots(), *segment.roots])
