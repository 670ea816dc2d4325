"""A file that grows by whole JSON lines and survives a crash at any byte: each line once, in order, nothing torn.

A full file is renamed to ``<name>.<number of its last line>`` and a new one begins; nothing is ever deleted, that is
for whoever ships the files.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from metaqore.errors import Unavailable

MAX_BYTES = 64 * 1024 * 1024
#: Longer than any line: an entry has 65,535 bytes at most, base64 makes a third more of them.
_TAIL = 256 * 1024


class RotatedFile:
    """See ``metaqore.delivery.streaming.LineFile``.

    Args:
        max_bytes: a file that has reached this is put aside.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes

    def append(self, path: str, lines: list[tuple[int, bytes]]) -> None:
        """Append lines and wait until they are on the disk; those that are there from before a crash are left out.

        Raises:
            Unavailable: the file cannot be written.
        """
        try:
            self._append(Path(path), lines)
        except OSError as error:
            raise Unavailable(f"{path} cannot be written ({error.strerror}): make room, or remove the sink") from error

    def _append(self, path: Path, lines: list[tuple[int, bytes]]) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = _whole(handle)
            last = _last(handle, size) if size else _last_rotated(path)
            fresh = b"".join(line + b"\n" for number, line in lines if number > last)
            os.lseek(handle, size, os.SEEK_SET)
            rest = memoryview(fresh)
            while rest:
                rest = rest[os.write(handle, rest) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        if size == 0:
            _sync(path.parent)
        if size + len(fresh) >= self._max_bytes:
            path.rename(path.with_name(f"{path.name}.{max(last, lines[-1][0]):020}"))
            _sync(path.parent)


def _whole(handle: int) -> int:
    """Cut off a line that a crash has torn; return the size of what is whole."""
    size = os.fstat(handle).st_size
    start = max(0, size - _TAIL)
    tail = os.pread(handle, size - start, start)
    kept = start + tail.rfind(b"\n") + 1
    if kept != size:
        os.ftruncate(handle, kept)
    return kept


def _last(handle: int, size: int) -> int:
    """Return the number of the last line."""
    start = max(0, size - _TAIL)
    tail = os.pread(handle, size - start, start)[:-1]
    with contextlib.suppress(ValueError, TypeError, KeyError):
        return int(json.loads(tail[tail.rfind(b"\n") + 1 :])["id"])
    return 0


def _last_rotated(path: Path) -> int:
    """Return the number of the last line of the file that was put aside last."""
    numbers = [name.suffix[1:] for name in path.parent.glob(f"{path.name}.*")]
    return max((int(number) for number in numbers if number.isdigit() and len(number) == 20), default=0)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
