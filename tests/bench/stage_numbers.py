"""Where the time of a bulk declaration goes, stage by stage: both doors in this process, HTTP and queue left out.

``python -m tests.bench.stage_numbers`` prints the table alone. Microseconds of wall time an item, SQLite with
``synchronous=FULL``, sealed payloads, a real Valkey for the results, batches of 100 in and of 256 out.
"""

from __future__ import annotations

import logging
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from metaqore.adapters.authentic import Authentic
from metaqore.adapters.redis_results import RedisResults
from metaqore.audit.vault import Vault
from metaqore.embedded.broker import Broker
from metaqore.requests import intake
from metaqore.store import migrate
from metaqore.store.engine import Database
from metaqore.store.unit_of_work import SqlTransaction
from tests.bench import governed
from tests.contract.pipeline import Pipeline

DECLARES, BATCH, TURNS = 2560, 100, 5
#: What is shown, in the order in which it happens, and the stage that it is a part of.
STAGES = (
    ("t1", ""), ("encode_and_seal", "t1"), ("t2", ""), ("peek", "t2"), ("study", "t2"), ("decide", "t2"),
    ("write", "t2"), ("lock_confirm_commit", "t2"), ("publish_results", "t2"),
)  # fmt: skip


class _Stages:
    """Counts the seconds spent in functions, each without those inside it that are counted, too."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self._open: list[list[float]] = []

    def watch(self, owner: Any, name: str, stage: str) -> None:
        """Count what ``owner.name`` takes from now on."""
        real: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.of(stage):
                return real(*args, **kwargs)

        setattr(owner, name, timed)

    @contextmanager
    def of(self, stage: str) -> Any:
        """Count what the block takes."""
        inner = [0.0]
        self._open.append(inner)
        began = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - began
            self._open.pop()
            self.spent[stage] += took - inner[0]
            if self._open:
                self._open[-1][0] += took


def numbers() -> dict[str, float]:
    """Return ``stage_<name>_us``, medians over some turns, and print them as a table."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory(prefix="mq-stages-") as place:
        broker = Broker(Path(place) / "broker", Path(place) / "broker.log")
        broker.start()
        try:
            turns = _turns(Path(place), broker.url)
        finally:
            broker.kill()
    found = {f"stage_{name}_us": statistics.median(turn[name] for turn in turns) for name, _ in STAGES}
    print("µs an item, in bulk, in process")
    for name, within in STAGES:
        print(f"  {'  ' if within else ''}{name:28} {found[f'stage_{name}_us']:8.1f}", flush=True)
    return found


def _turns(place: Path, broker: str) -> list[dict[str, float]]:
    dsn = f"sqlite:///{place}/bench.db"
    migrate.upgrade(dsn)
    database = Database(dsn)
    database.vault = Vault(place / "privacy.key")
    pipeline = Pipeline(database)
    executor, stages = pipeline.executor, _Stages()
    executor.results = RedisResults(broker, Authentic(lambda: database.vault.derived("announcements")), expires_s=3600)
    project = pipeline.project()
    encoded, applied = intake.encode, SqlTransaction.apply
    stages.watch(intake, "encode", "encode_and_seal")
    stages.watch(SqlTransaction, "apply", "write")
    stages.watch(executor, "peek", "peek")
    stages.watch(executor, "_study", "study")
    stages.watch(executor, "_decide_run", "decide")
    stages.watch(executor, "write_outcomes", "write")
    stages.watch(executor, "_flush", "write")
    stages.watch(executor.results, "publish", "publish_results")
    try:
        turns = [_turn(pipeline, stages, project) for _ in range(TURNS + 1)][1:]
    finally:
        setattr(SqlTransaction, "apply", applied)  # noqa: B010  put back as it was taken
        setattr(intake, "encode", encoded)  # noqa: B010
        database.close()
    return turns


def _turn(pipeline: Pipeline, stages: _Stages, project: str) -> dict[str, float]:
    items = governed.workload(project, DECLARES, texts=True)
    asked = [pipeline.submission("artifact.declare", item.pop("project"), **item) for item in items]
    stages.spent.clear()
    with stages.of("t1"):
        for at in range(0, DECLARES, BATCH):
            pipeline.intake.submit(asked[at : at + BATCH])
    with stages.of("lock_confirm_commit"):
        if pipeline.executor.drain("psmp") != DECLARES:
            raise RuntimeError("not everything was decided")
    each = {name: 1e6 * seconds / DECLARES for name, seconds in stages.spent.items()}
    each["t1"] += each["encode_and_seal"]
    each["t2"] = sum(each[name] for name, within in STAGES if within == "t2")
    return each


if __name__ == "__main__":
    numbers()
    sys.exit(0)
