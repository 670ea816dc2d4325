"""One ``metaqore up`` per data folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from metaqore.embedded.private_files import make_folder
from metaqore.errors import Conflict


def try_lock(path: Path) -> int | None:
    """Take the advisory lock (flock(2)) on ``path`` and return its descriptor, or None where another holds it.

    The lock lives as long as any copy of the descriptor, so it falls with the process, however that ends.
    """
    make_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def share_lock(path: Path) -> int:
    """Take a shared advisory lock on ``path``, waiting for whoever holds it alone; return its descriptor."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


class DataFolderLock:
    """Hold ``<data folder>/up.lock`` for the time of a ``with`` block; the file names the holder's pid.

    Raises:
        Conflict: another process holds it; ``details["pid"]`` says which (None where it has not said yet).
    """

    def __init__(self, data_folder: Path) -> None:
        self._folder = data_folder
        self._path = data_folder / "up.lock"
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        self._descriptor = try_lock(self._path)
        if self._descriptor is None:
            raise self._refusal()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def _refusal(self) -> Conflict:
        text = self._path.read_text().strip()
        pid = int(text) if text.isdigit() else None
        holder = f"process {pid}" if pid else "another process"
        stop = f"stop it (Ctrl-C in its terminal, or: kill {pid})" if pid else "stop it"
        return Conflict(
            f"the data folder {self._folder} is in use by {holder} (metaqore up): {stop}, "
            "or choose another folder with --data DIR",
            pid=pid,
        )
