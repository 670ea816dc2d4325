"""What verifying a log costs, as a multiple of hashing its entries one by one.

    python -m tests.bench.audit_verify_numbers [ENTRIES [FOLDER]]

The log is written as pipeline and sealer write it. Hashing is a plain loop of ``hashlib.sha256(body).digest()`` over
bodies that already lie in memory, a part of the log at a time. Both are measured in turns, and each verification is
held against the hashing before and after it, so that a machine which does other things too says nearly the same.
``_cpu`` ratios compare the processor time of all processes.
"""

from __future__ import annotations

import hashlib
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from metaqore.audit.anchors import Trust
from metaqore.audit.block import usable_processes
from metaqore.audit.checkpoint import Signer, origin_of
from metaqore.audit.database import SqliteSource
from metaqore.audit.entry import Entry, make_entry
from metaqore.audit.export import ExportSource, export_lines
from metaqore.audit.ports import Sealing
from metaqore.audit.seal import Frontier, seal
from metaqore.audit.source import Source
from metaqore.audit.tags import Tag
from metaqore.audit.verify import Options, verify
from metaqore.audit.witness import WitnessFile
from metaqore.store import migrate
from metaqore.store.engine import Database
from metaqore.store.repositories import audit
from metaqore.store.repositories.audit import AuditRows
from tests.contract.pipeline import ORGANIZATION

#: What the sealer covers with one checkpoint at five looks a second under the load of the other benchmarks.
_EVERY = 1000
_T0 = 1_760_000_000_000
_KEY = Signer.from_seed("bench.example", b"\x01" * 32)


class Spent(NamedTuple):
    """Seconds on the wall, and of processors."""

    wall: float
    cpu: float


class Log(NamedTuple):
    """A log to be verified: the database, the witness file, an export."""

    database: Path
    witness: Path
    export: Path
    entries: int


@contextmanager
def generated(entries: int, folder: Path | None = None) -> Iterator[Log]:
    """Give a log of that many entries, in a folder that is kept (and used again) or in one that is not."""
    with tempfile.TemporaryDirectory(prefix="mq-audit-") as place:
        kept = folder or Path(place)
        kept.mkdir(parents=True, exist_ok=True)
        log = Log(kept / "log.db", kept / "witness.jsonl", kept / "export.jsonl", entries)
        if not log.export.exists():
            _fill(log)
            source = SqliteSource(log.database)
            with log.export.open("wb") as file:
                file.writelines(export_lines(source, ORGANIZATION))
            source.close()
        yield log


def verify_numbers(log: Log, turns: int = 3) -> dict[str, float]:
    """Return the ratios under their published names: as used, by one process, and for the export.

    Verifying reads the log, hashes every body, compares every column, rebuilds the tree and checks every signature and
    the witness file.
    """
    source = SqliteSource(log.database)
    trials: dict[str, tuple[Source, int]] = {
        "audit_verify_ratio": (source, usable_processes()),
        "audit_verify_ratio_one_process": (source, 1),
        "audit_verify_ratio_export": (ExportSource(log.export), usable_processes()),
        "audit_verify_ratio_export_one_process": (ExportSource(log.export), 1),
    }
    ratios: dict[str, list[float]] = {}
    before = _hash_one_by_one(source, log.entries)
    for _ in range(turns):
        for name, (made, processes) in trials.items():
            spent = _verify(made, log, processes)
            after = _hash_one_by_one(source, log.entries)
            ratios.setdefault(name, []).append(2 * spent.wall / (before.wall + after.wall))
            ratios.setdefault(f"{name}_cpu", []).append(2 * spent.cpu / (before.cpu + after.cpu))
            before = after
    source.close()
    return {name: round(statistics.median(found), 2) for name, found in ratios.items()}


def _verify(source: Source, log: Log, processes: int) -> Spent:
    options = Options(Trust((_KEY.vkey,)), log.witness, processes=processes, reconcile=False)
    began, used = time.perf_counter(), _processor_seconds()
    [verdict] = verify(source, options)
    spent = Spent(time.perf_counter() - began, _processor_seconds() - used)
    if (verdict.exit_code, verdict.sealed) != (0, log.entries):
        raise RuntimeError(f"the log did not verify: {verdict}")
    return spent


def _processor_seconds() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _hash_one_by_one(source: Source, entries: int) -> Spent:
    wall, cpu, sha256 = 0.0, 0.0, hashlib.sha256
    for chunk in source.chunks(ORGANIZATION, 1, entries):
        began, used = time.perf_counter(), time.process_time()
        for body in chunk.bodies:
            sha256(body).digest()
        wall += time.perf_counter() - began
        cpu += time.process_time() - used
    return Spent(wall, cpu)


def _fill(log: Log) -> None:
    """Write a log as the pipeline and the sealer write it, with the tables of a real database."""
    dsn = f"sqlite:///{log.database}"
    migrate.upgrade(dsn)
    database = Database(dsn)
    frontier, origin, memory = Frontier(), origin_of("bench.example", ORGANIZATION), WitnessFile(log.witness)
    for first in range(1, log.entries + 1, _EVERY):
        rows = [_admitted(seq) for seq in range(first, min(first + _EVERY, log.entries + 1))]
        sealed = seal(frontier, [row[0].leaf_hash for row in rows], origin=origin, signers=[_KEY])
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


if __name__ == "__main__":
    asked = int(sys.argv[1]) if sys.argv[1:] else 1_000_000
    with generated(asked, Path(sys.argv[2]) if sys.argv[2:] else None) as made:
        print(json.dumps(verify_numbers(made), indent=1))
