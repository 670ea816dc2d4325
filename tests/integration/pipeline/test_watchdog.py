"""A worker whose queue has work that nobody takes ends, also where its main thread never comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from metaqore.settings import Settings, to_environ
from metaqore.store.engine import Database
from tests.in_process import InProcess
from tests.running import ROOT


@pytest.fixture(scope="module")
def settings(data_folder: Path) -> Settings:
    """An installation with a request that has been due for years."""
    mq = InProcess(data_folder)
    mq.post("/artifacts", {"project": mq.project(), "type": "doc", "name": "n", "content": "c"})
    mq.close()
    database = Database(mq.settings.dsn)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE requests SET available_at = 1 WHERE state = 'accepted'")
    database.close()
    return mq.settings


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
