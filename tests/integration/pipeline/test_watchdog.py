"""A worker whose queue has work that nobody takes ends, also where its main thread never comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from metaqore.embedded.broker import Broker
from metaqore.settings import Settings, to_environ
from metaqore.store.engine import Database
from tests.in_process import InProcess
from tests.running import ROOT, wait_until
from workers.watchdog import Rings


@pytest.fixture(scope="module")
def settings(data_folder: Path) -> Iterator[Settings]:
    """An installation with a request that has been due for years, and a broker from which nobody takes anything."""
    mq = InProcess(data_folder)
    mq.post("/artifacts", {"project": mq.project(), "type": "doc", "name": "n", "content": "c"})
    mq.close()
    database = Database(mq.settings.dsn)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE requests SET available_at = 1 WHERE state = 'accepted'")
    database.close()
    broker = Broker(data_folder / "broker", data_folder / "broker.log")
    try:
        broker.start()
        yield msgspec.structs.replace(mq.settings, redis_url=broker.url)
    finally:
        broker.kill()
        wait_until(broker.ended, "the broker ended")


@pytest.mark.parametrize(
    ("mode", "code", "asked"),
    [("comes back", 0, ["SIGTERM"]), ("is stuck", -signal.SIGKILL, ["SIGTERM", "SIGQUIT"])],
)
def test_a_worker_that_takes_no_work_ends(
    settings: Settings, tmp_path: Path, mode: str, code: int, asked: list[str]
) -> None:
    journal = tmp_path / "journal"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("METAQORE_")}

    ran = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("stuck_worker.py")), str(journal), mode],
        env={**kept, **to_environ(settings), "PYTHONPATH": str(ROOT)}, cwd=tmp_path, timeout=100, check=False,
        capture_output=True, text=True,
    )  # fmt: skip

    assert ran.returncode == code, ran.stderr
    assert journal.read_text().split() == asked


class Heard:
    """A bell that notes who was rung for."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    def ring(self, queue: str, _ids: Sequence[str]) -> None:
        self.rung.append(queue)


def test_a_queue_that_nobody_rang_for_is_rung_before_anybody_is_blamed() -> None:
    bell = Heard()
    rings = Rings(bell)

    assert rings.unanswered(["system"]) == []
    assert rings.unanswered([]) == []
    assert [rings.unanswered(["psmp", "system"]) for _ in range(3)] == [[], [], []]
    assert bell.rung == ["system"] + ["psmp", "system"] * 3
    assert rings.unanswered(["system"]) == ["system"]
