"""How a process says, or shows, that it is ready. A probe takes the pid and must answer within about a second."""

from __future__ import annotations

import http.client
import os
from collections.abc import Callable
from pathlib import Path

from metaqore.embedded.private_files import make_folder, write_private

Probe = Callable[[int], bool]


def mark_ready(data_folder: Path, name: str) -> None:
    """Say that this process, known as ``name`` ("psmp", "beat" …), is ready for work.

    Workers call it from Celery's ``worker_ready``, beat from ``beat_init``. It writes the pid to
    ``<data folder>/run/<name>.ready``.
    """
    write_private(make_folder(data_folder / "run") / f"{name}.ready", f"{os.getpid()}\n")


def marked(data_folder: Path, name: str) -> Probe:
    """Return a probe: has this very process called ``mark_ready``?"""
    path = data_folder / "run" / f"{name}.ready"

    def probe(pid: int) -> bool:
        try:
            return path.read_text() == f"{pid}\n"
        except FileNotFoundError:
            return False

    return probe


def answers_http(host: str, port: int, path: str) -> Probe:
    """Return a probe: does ``GET path`` answer 200?"""

    def probe(_pid: int) -> bool:
        connection = http.client.HTTPConnection(host, port, timeout=1.0)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return probe


def runs(_pid: int) -> bool:
    """Be content that the process runs."""
    return True
