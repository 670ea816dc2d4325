"""The record of the processes of a run, and the end of those that outlived it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from metaqore.embedded import identity
from metaqore.embedded.child import MARKER
from metaqore.embedded.private_files import make_folder, write_private

_FILE = "processes.json"


def record(run_folder: Path, processes: Iterable[tuple[str, int]]) -> None:
    """Write which processes (name, pid) belong to the run that keeps ``run_folder``."""
    entries = [{"name": name, "pid": pid, "started": identity.started(pid)} for name, pid in processes]
    write_private(make_folder(run_folder) / _FILE, json.dumps(entries))


def end_leftovers(run_folder: Path, patience_s: float = 15.0) -> list[tuple[str, int]]:
    """End what an earlier run in ``run_folder`` left, and return the (name, pid) of each process ended.

    A recorded pid is touched only where it still is the process that was recorded. Where that one is gone, what is
    left of its session is ended (a killed API server leaves its workers on the port), told by the environment.
    SIGTERM first; SIGKILL after ``patience_s``.
    """
    found = [(name, pid) for name, session, start in _read(run_folder) for pid in _left(session, start, run_folder)]
    starts = {pid: identity.started(pid) for _, pid in found}
    for number, seconds in ((signal.SIGTERM, patience_s), (signal.SIGKILL, 5.0)):
        _signal(starts, number)
        deadline = time.monotonic() + seconds
        while _alive(starts) and time.monotonic() < deadline:
            time.sleep(0.02)
    (run_folder / _FILE).unlink(missing_ok=True)
    return found


def _left(session: int, start: str | None, run_folder: Path) -> list[int]:
    members = identity.session_members(session, f"{MARKER}={run_folder}")
    is_recorded = start is not None and identity.started(session) == start
    return [session] if is_recorded and session not in members else members


def _read(run_folder: Path) -> list[tuple[str, int, str | None]]:
    try:
        return [(e["name"], int(e["pid"]), e["started"]) for e in json.loads((run_folder / _FILE).read_text())]
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return []


def _alive(starts: dict[int, str | None]) -> dict[int, str | None]:
    return {pid: start for pid, start in starts.items() if start is not None and identity.started(pid) == start}


def _signal(starts: dict[int, str | None], number: signal.Signals) -> None:
    for pid in _alive(starts):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
