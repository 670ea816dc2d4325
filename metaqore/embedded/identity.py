"""Which process a pid names. Pids are reused, so a recorded pid is believed only together with its start time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_PROC = Path("/proc")
_HAS_PROC = sys.platform == "linux"


def started(pid: int) -> str | None:
    """Return a text that no other process with this pid ever has, or None where no such process runs.

    A zombie does not run. Linux: boot id and start time in clock ticks (proc(5), ``stat`` field 22); elsewhere the
    start time that ``ps`` prints, to the second.
    """
    return _started_from_proc(pid) if _HAS_PROC else _started_from_ps(pid)


def executable(pid: int) -> str | None:
    """Return the path of the program that ``pid`` runs, None where there is no such process or it is not ours.

    A binary that was replaced by an upgrade since the start keeps its old path.
    """
    if not _HAS_PROC:
        return _ps(pid, "comm=")
    try:
        return os.readlink(_PROC / str(pid) / "exe").removesuffix(" (deleted)")
    except OSError:
        return None


def session_members(session: int, marker: str) -> list[int]:
    """Return the running processes of ``session`` whose environment holds ``marker`` (``NAME=value``).

    Only Linux can tell; elsewhere the list is empty.
    """
    if not _HAS_PROC:
        return []
    pids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if _session(pid) == session and _has_marker(pid, marker)]


def _stat(pid: int) -> list[str] | None:
    """Return the fields of proc(5) ``stat`` from field 3 on; the name before them may hold blanks and brackets."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else fields


def _started_from_proc(pid: int) -> str | None:
    fields = _stat(pid)
    if fields is None:
        return None
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{fields[19]}"


def _session(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[3]) if fields else None


def _has_marker(pid: int, marker: str) -> bool:
    try:
        return marker.encode() in (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _started_from_ps(pid: int) -> str | None:
    line = _ps(pid, "stat=,lstart=")
    if not line or line[0] in "ZX":
        return None
    return line.split(maxsplit=1)[1]


def _ps(pid: int, columns: str) -> str | None:
    command = ["ps", "-o", columns, "-p", str(pid)]
    english = {**os.environ, "LC_ALL": "C"}
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env=english)
    return answer.stdout.strip() or None
