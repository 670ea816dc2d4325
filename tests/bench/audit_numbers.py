"""What the audit log costs: appending as a share of a governed declare, verifying as a multiple of plain hashing.

Both are ratios of times taken in the same run in this process, so they say the same on a fast machine and a slow one.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import structlog

from metaqore.audit.vault import Vault
from metaqore.requests import recorder
from metaqore.store import migrate
from metaqore.store.engine import Database
from metaqore.store.repositories import audit
from tests.bench.audit_verify_numbers import generated, verify_numbers
from tests.contract.pipeline import Clock, Pipeline


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


def numbers(declare_s: tuple[float, float] | None = None, *, entries: int = 1_000_000) -> dict[str, float]:
    """Return the numbers under their published names.

    Args:
        declare_s: processor seconds of a governed declare through HTTP, queue and worker, all processes together: sent
            alone by one of 64 clients, and in bulk; the engine's own where it was not measured.
    """
    one, many = append_cost(batch=8), append_cost(batch=100)
    alone, bulk = declare_s or (one[1], many[1])
    with generated(entries) as log:
        verifying = verify_numbers(log)
    return {
        "audit_append_us": many[0] * 1e6,
        "audit_append_share": one[0] / alone,
        "audit_append_share_bulk": many[0] / bulk,
        **verifying,
    }


if __name__ == "__main__":
    import sys

    asked = int(sys.argv[1]) if sys.argv[1:] else 1_000_000
    print(numbers(entries=asked))
