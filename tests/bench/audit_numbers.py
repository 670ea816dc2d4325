"""What the audit log costs: appending as a share of a governed declare, verifying as a multiple of plain hashing.

Both are ratios of times taken in the same run in this process, so they say the same on a fast machine and a slow one.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import structlog

from metaqore.audit.anchors import Trust
from metaqore.audit.block import usable_processes
from metaqore.audit.checkpoint import Signer, origin_of
from metaqore.audit.database import SqliteSource
from metaqore.audit.entry import Entry, make_entry
from metaqore.audit.ports import Sealing
from metaqore.audit.seal import Frontier, seal
from metaqore.audit.tags import Tag
from metaqore.audit.vault import Vault
from metaqore.audit.verify import Options, verify
from metaqore.audit.witness import WitnessFile
from metaqore.requests import recorder
from metaqore.store import migrate
from metaqore.store.engine import Database
from metaqore.store.repositories import audit
from metaqore.store.repositories.audit import AuditRows
from tests.contract.pipeline import ORGANIZATION, Clock, Pipeline

#: What the sealer covers with one checkpoint at five looks a second under the load of the other benchmarks.
_EVERY = 1000
_T0 = 1_760_000_000_000


class _Timed:
    """Counts the time spent in functions that it stands in for."""

    def __init__(self) -> None:
        self.spent = 0.0
        self._undo: list[Callable[[], None]] = []

    def watch(self, owner: Any, name: str) -> None:
        """Count what ``owner.name`` takes from now on."""
        real = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            try:
                return real(*args, **kwargs)
            finally:
                self.spent += time.process_time() - began

        setattr(owner, name, timed)
        self._undo.append(lambda: setattr(owner, name, real))

    def stop(self) -> None:
        """Give the functions back."""
        for undo in self._undo:
            undo()


def append_cost(declares: int = 2000, batch: int = 100) -> tuple[float, float]:
    """Return the processor seconds that a declare costs in the audit log, and in the engine as a whole.

    In batches, as the bulk benchmark sends them: through both doors, with SQLite, sealed payloads and
    ``synchronous=FULL``; HTTP and queue left out. In the log: commitment, entries, their hashes, their rows.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory(prefix="mq-audit-") as place:
        dsn = f"sqlite:///{place}/bench.db"
        migrate.upgrade(dsn)
        database = Database(dsn)
        database.vault = Vault(Path(place) / "privacy.key")
        pipeline = Pipeline(database, Clock())
        project = pipeline.project()
        costs = []
        for turn in range(3):
            timed = _Timed()
            timed.watch(recorder.Recorder, "_entries")
            timed.watch(recorder.Recorder, "_carriers")
            timed.watch(recorder, "commit_to")
            timed.watch(audit, "append")
            began = time.process_time()
            for at in range(0, declares, batch):
                asked = [
                    pipeline.submission("artifact.declare", project, type="doc", name=f"{turn}-{at + i}",
                                        content={"text": f"{at + i} " * 60}) for i in range(batch)
                ]  # fmt: skip
                pipeline.intake.submit(asked)
                pipeline.executor.drain("psmp")
            costs.append((timed.spent / declares, (time.process_time() - began) / declares))
            timed.stop()
        database.close()
    return min(costs)


def processor_seconds(pids: Sequence[int]) -> float:
    """Return the processor time that processes have used, and their children that run."""
    total = 0.0
    for pid in pids:
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            used = process.cpu_times()
            total += used.user + used.system
    return total


def verify_ratio(entries: int = 1_000_000, turns: int = 3) -> float:
    """Return how long verifying a log takes over hashing its bodies one by one in plain Python, the best of each.

    Verifying reads the database, hashes every body, compares every column, rebuilds the tree and checks every
    signature and the witness file; hashing reads bodies that already lie in memory, a part of the log at a time.
    """
    with tempfile.TemporaryDirectory(prefix="mq-audit-") as place:
        folder = Path(place)
        path, witness, key = (
            folder / "log.db",
            folder / "witness.jsonl",
            Signer.from_seed("bench.example", b"\x01" * 32),
        )
        _fill(path, witness, key, entries)
        source = SqliteSource(path)
        options = Options(Trust((key.vkey,)), witness, processes=usable_processes(), reconcile=False)
        hashing, verifying = [], []
        for _ in range(turns):
            hashing.append(_hash_one_by_one(source, entries))
            began = time.perf_counter()
            [verdict] = verify(source, options)
            verifying.append(time.perf_counter() - began)
            if (verdict.exit_code, verdict.sealed) != (0, entries):
                raise RuntimeError(f"the log did not verify: {verdict}")
        source.close()
    return min(verifying) / min(hashing)


def _hash_one_by_one(source: SqliteSource, entries: int) -> float:
    spent, sha256 = 0.0, hashlib.sha256
    for _, _, bodies, _, _ in source.chunks(ORGANIZATION, 1, entries):
        began = time.perf_counter()
        for body in bodies:
            sha256(body).digest()
        spent += time.perf_counter() - began
    return spent


def _fill(path: Path, witness: Path, key: Signer, entries: int) -> None:
    """Write a log as the pipeline and the sealer write it, with the tables of a real database."""
    dsn = f"sqlite:///{path}"
    migrate.upgrade(dsn)
    database = Database(dsn)
    frontier, origin, memory = Frontier(), origin_of("bench.example", ORGANIZATION), WitnessFile(witness)
    for first in range(1, entries + 1, _EVERY):
        rows = [_admitted(seq) for seq in range(first, min(first + _EVERY, entries + 1))]
        sealed = seal(frontier, [row[0].leaf_hash for row in rows], origin=origin, signers=[key])
        frontier = sealed.frontier
        sealing = Sealing(ORGANIZATION, sealed.checkpoint.size, sealed.note, rows[-1][4])
        with database.write() as connection:
            audit.append(connection, ORGANIZATION, rows)
            stored = AuditRows(database, connection)
            stored.save_tiles(ORGANIZATION, sealed.tiles)
            stored.save_checkpoints([sealing])
        memory.remember([sealing])
    database.close()


def _admitted(seq: int) -> tuple[Entry, str, str | None, str | None, int]:
    actor, project, request = f"prn_{seq % 13:032x}", f"prj_{seq % 7:032x}", f"req_{seq:032x}"
    ts_ms = _T0 + seq * 10
    entry = make_entry(
        organization=ORGANIZATION, seq=seq, tag=Tag.ARTIFACT_ADMITTED, actor=actor, ts_ms=ts_ms, project=project,
        request=request, subject=f"art_{seq:032x}", outcome="approved", policy_digest="sha256:" + "b" * 64,
        details={"version": 3}, events=str(seq),
    )  # fmt: skip
    return entry, actor, project, request, ts_ms


def numbers(declare_s: tuple[float, float] | None = None, *, entries: int = 1_000_000) -> dict[str, float]:
    """Return the numbers under their published names.

    Args:
        declare_s: processor seconds of a governed declare through HTTP, queue and worker, all processes together: sent
            alone by one of 64 clients, and in bulk; the engine's own where it was not measured.
    """
    one, many = append_cost(batch=8), append_cost(batch=100)
    alone, bulk = declare_s or (one[1], many[1])
    return {
        "audit_append_us": many[0] * 1e6,
        "audit_append_share": one[0] / alone,
        "audit_append_share_bulk": many[0] / bulk,
        "audit_verify_ratio": verify_ratio(entries),
    }


if __name__ == "__main__":
    import sys

    asked = int(sys.argv[1]) if sys.argv[1:] else 1_000_000
    print(numbers(entries=asked))
