"""The witness file: checkpoints remembered outside the database, so that it cannot forget what it once signed.

Append only, one JSON object per line: ``{"ts": <ms since the epoch>, "checkpoint": "<signed note>"}``. Keep it under
another operating-system user, on another disk, or on another machine: whoever can write both it and the database can
change both. ``ts`` is when the checkpoint was signed, not when its line was written: an entry after it must not be
dated before. Write the checkpoint of size 0 when an organization is created, so that this holds for entry 1 too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol


class Remembered(Protocol):
    """A checkpoint to be remembered. See ``metaqore.audit.ports.Sealing``."""

    @property
    def note(self) -> str:
        """The signed note."""

    @property
    def sealed_at(self) -> int:
        """When it was signed, in milliseconds since the epoch."""


class WitnessFile:
    """The witness file as the sequencer uses it; the file and its folder are made at the first checkpoint."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def remember(self, sealings: Sequence[Remembered]) -> None:
        """Write checkpoints down for good.

        Raises:
            OSError: the file cannot be written.
        """
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        append_all(self._path, [(sealing.note, sealing.sealed_at) for sealing in sealings])


class WitnessLine(NamedTuple):
    """One remembered checkpoint: when it was signed (ms since the epoch) and the signed note."""

    number: int
    ts_ms: int
    note: str


def append_witness(path: Path, note: str, ts_ms: int) -> None:
    """Write a checkpoint to the end of the file and to the disk (fsync). The file is made with mode 0600.

    A line that a crash left unfinished is ended first, so that it spoils nothing but itself.
    """
    append_all(path, [(note, ts_ms)])


def append_all(path: Path, notes: Iterable[tuple[str, int]]) -> None:
    """Write (checkpoint, time) to the end of the file, in one write and to the disk (fsync).

    Raises:
        OSError: it could not be written whole.
    """
    line = b"".join(
        json.dumps({"ts": ts_ms, "checkpoint": note}, ensure_ascii=False).encode() + b"\n" for note, ts_ms in notes
    )
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        if os.write(descriptor, line) != len(line):
            raise OSError(f"{path}: the disk took only a part of the line")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_witness(path: Path, unreadable: Callable[[int], None], size: int | None = None) -> Iterator[WitnessLine]:
    """Yield the remembered checkpoints in file order.

    Args:
        unreadable: called with the number of each line that is none, such as a write that a crash cut off.
        size: read no further than the file once had bytes.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if size is not None and (size := size - len(line)) < 0:
                return
            try:
                value = json.loads(line)
                found = WitnessLine(number, int(value["ts"]), str(value["checkpoint"]))
            except (ValueError, KeyError, TypeError, RecursionError):
                unreadable(number)
            else:
                yield found
