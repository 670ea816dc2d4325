"""Files that only their owner may read: state with a password in it, logs, lock files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

LOG_LIMIT_BYTES = 32 * 1024 * 1024


def make_folder(path: Path) -> Path:
    """Create ``path`` (mode 0700) where it is missing and return it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def write_private(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` in one step, mode 0600: a reader sees the old file or the new one, never half."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(draft, path)


def open_log(path: Path) -> int:
    """Open a log for appending, mode 0600, and return its file descriptor; the caller closes it."""
    make_folder(path.parent)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def trim_log(path: Path, limit_bytes: int = LOG_LIMIT_BYTES) -> bool:
    """Move a log that is larger than ``limit_bytes`` to ``<name>.1`` and empty it; return whether it was.

    The writer keeps its descriptor: it appends (``O_APPEND``), so it goes on at the new end. Lines written between
    the copy and the cut are lost.
    """
    try:
        if path.stat().st_size <= limit_bytes:
            return False
    except FileNotFoundError:
        return False
    older = path.with_name(path.name + ".1")
    os.close(os.open(older, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    shutil.copyfile(path, older)
    os.truncate(path, 0)
    return True


def tail(path: Path, lines: int = 12, window_bytes: int = 16_384) -> str:
    """Return the last ``lines`` lines of a log, empty where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - window_bytes))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
