"""``metaqore demo``, as a newcomer runs it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from metaqore.embedded import identity

ROOT = Path(__file__).resolve().parents[2]
#: Generous: the machine may be busy with other things.
PATIENCE_S = 240.0
ROWS = ("accepted", "blocked", "merged", "vetoed", "retried", "submit → verdict", "largest batch", "webhooks",
        "pattern", "→ specialist", "audit log")  # fmt: skip


class Run:
    """One run of the command with its own folder for temporary files, so that what it leaves behind is seen."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.output = folder / "output"
        self.page = folder / "page.html"
        environ = {name: value for name, value in os.environ.items() if not name.startswith("METAQORE_")}
        environ |= {"TMPDIR": str(self.temporary), "COLUMNS": "200", "PYTHONPATH": str(ROOT)}
        # Must be of no effect: a demonstration touches nothing of the user's.
        environ |= {
            "METAQORE_STORAGE_DSN": f"sqlite:///{folder}/untouched.db",
            "METAQORE_REDIS_URL": "redis://127.0.0.1:1",
        }
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "metaqore", "demo", "--out", str(self.page), *arguments], cwd=folder,
                stdout=output, stderr=subprocess.STDOUT, env=environ, start_new_session=True,
            )  # fmt: skip

    @property
    def said(self) -> str:
        """Everything printed so far."""
        return self.output.read_text()

    def wait_for(self, text: str) -> None:
        """Wait until something was said; fail where the command ends without."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.said:
            assert self.process.poll() is None and time.monotonic() < deadline, self.said
            time.sleep(0.05)

    def left_behind(self) -> list[int]:
        """Return the processes that still know the run's folder from their environment."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    environ = (entry / "environ").read_bytes()
                except OSError:
                    continue
                if f"TMPDIR={self.temporary}".encode() in environ:
                    found.append(int(entry.name))
        return found


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Run]]:
    """The runs of a test; what is left of them is ended by pid."""
    runs: list[Run] = []
    yield runs
    for run in runs:
        for pid in run.left_behind():
            os.kill(pid, signal.SIGKILL)
        run.process.wait(timeout=30)


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE_S + 60)
def test_the_demo_shows_everything_and_leaves_nothing_behind(started: list[Run], tmp_path: Path) -> None:
    run = Run(tmp_path)  # without a git history here, so that every machine runs the same
    started.append(run)

    assert run.process.wait(timeout=PATIENCE_S) == 0, run.said

    for row in ROWS:
        assert re.search(rf"^{row}\s+\S", run.said, re.MULTILINE), row
    assert re.search(r"^all \d+ checks hold", run.said, re.MULTILINE)
    assert "✗" not in run.said
    html = run.page.read_text()
    assert html.count("<svg") == 6
    assert html.rstrip().endswith("</html>")
    assert run.left_behind() == []
    assert [*run.temporary.iterdir()] == []
    assert not (tmp_path / "untouched.db").exists()


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE_S + 60)
def test_ctrl_c_in_the_middle_stops_everything(started: list[Run], tmp_path: Path) -> None:
    run = Run(tmp_path)
    started.append(run)
    run.wait_for("block and fix")
    assert len(run.left_behind()) > 8

    run.process.send_signal(signal.SIGINT)

    assert run.process.wait(timeout=PATIENCE_S) == 130, run.said
    assert "interrupted" in run.said
    assert run.left_behind() == []
    assert [*run.temporary.iterdir()] == []
    assert not run.page.exists()
    assert identity.started(run.process.pid) is None
