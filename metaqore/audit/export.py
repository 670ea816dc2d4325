"""The export of one organization's log: a JSON Lines file that is verified as well as the database is.

::

    {"format":"metaqore-audit-export/1","organization":"…"}
    {"leaf_hash":"<64 hex digits>","entry":{…the stored bytes, unchanged…}}
    {"checkpoint":"<signed note>"}            after the last entry that it covers
    {"end":{"entries":<how many>}}

The entry stands in its line byte for byte, so verifying needs no JSON parser, and any JSON tool can read the file.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from metaqore.audit.checkpoint import BadNote, parse_checkpoint
from metaqore.audit.source import CHUNK_ROWS, CannotRead, Chunk, Row, Source, StoredCheckpoint, fields_of

EXPORT_FORMAT = "metaqore-audit-export/1"

_ENTRY_START = b'{"leaf_hash":"'
_ENTRY_MIDDLE = b'","entry":'
_HASH_AT = len(_ENTRY_START)
_BODY_AT = _HASH_AT + 64 + len(_ENTRY_MIDDLE)
_TAIL = re.compile(rb'"seq":([0-9]{1,18}),"tag":"[^"]*","ts":([0-9]{1,18}),"v":1\}')


def export_lines(source: Source, organization: str) -> Iterator[bytes]:
    """Yield the lines of an export, in constant memory.

    Raises:
        CannotRead: an entry is damaged so that it does not fit a line; ``audit verify`` names it.
    """
    yield _line({"format": EXPORT_FORMAT, "organization": organization})
    checkpoints = source.checkpoints(organization)
    pending = next(checkpoints, None)
    written = 0
    for row in source.rows(organization, 1):
        while pending is not None and pending.size <= written:
            yield _line({"checkpoint": pending.note})
            pending = next(checkpoints, None)
        if type(row.body) is not bytes or type(row.leaf_hash) is not bytes or b"\n" in row.body:
            raise CannotRead(
                f"the entry after {written} of {organization} is damaged: run 'audit verify' on the database"
            )
        yield b"%b%b%b%b}\n" % (_ENTRY_START, row.leaf_hash.hex().encode(), _ENTRY_MIDDLE, row.body)
        written += 1
    while pending is not None:
        yield _line({"checkpoint": pending.note})
        pending = next(checkpoints, None)
    yield _line({"end": {"entries": written}})


class ExportSource:
    """Reads an export file.

    Raises:
        CannotRead: there is no such file, or it is no export.
    """

    has_columns = False

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        try:
            with path.open("rb") as file:
                header = json.loads(file.readline(1_000_000))
                if header["format"] != EXPORT_FORMAT:
                    raise ValueError(f"format {header['format']!r}")
                self.organization = str(header["organization"])
        except OSError as error:
            raise CannotRead(f"{path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise CannotRead(f"{path}: no audit export, its first line is not a {EXPORT_FORMAT} header") from error
        self._next = 1
        self._lines: Iterator[bytes] | None = None

    def organizations(self) -> list[str]:
        """Return the one organization of the file."""
        return [self.organization]

    def last_seq(self, organization: str) -> int | None:
        """Return None: only the end of the file tells."""
        return None

    def strays(self, organization: str) -> int:
        """Return 0: the lines have no numbers of their own."""
        return 0

    def chunks(self, organization: str, first: int, count: int) -> Iterator[Chunk]:
        """Yield up to ``count`` entries from line ``first`` on; a line that is no entry gives a wrong leaf hash."""
        if self._lines is None or self._next != first:
            self._lines = islice(self._entry_lines(), first - 1, None)
            self._next = first
        while count > 0:
            lines = list(islice(self._lines, min(count, CHUNK_ROWS)))
            if not lines:
                return
            count -= len(lines)
            self._next += len(lines)
            bodies = [line[_BODY_AT:-2] for line in lines]
            hashes = [_hash_of(line) for line in lines]
            numbers = [_numbers_of(body) for body in bodies]
            yield (
                [seq for seq, _ in numbers],
                [ts for _, ts in numbers],
                bodies,
                hashes,
                [b""] * len(lines),
            )

    def rows(self, organization: str, first: int) -> Iterator[Row]:
        """Yield the entries from line ``first`` on."""
        for line in islice(self._entry_lines(), first - 1, None):
            body = line[_BODY_AT:-2]
            fields = fields_of(body)
            seq = fields["seq"] if fields else None
            yield Row(seq, None, None, None, None, None, body, _hash_of(line))

    def row(self, organization: str, seq: int) -> Row | None:
        """Return the first entry that calls itself ``seq``."""
        return next((row for row in self.rows(organization, 1) if row.seq == seq), None)

    def checkpoints(self, organization: str) -> Iterator[StoredCheckpoint]:
        """Yield the checkpoints in the order of the file; one filed behind entries that it does not cover is stale."""
        before = -1
        with self._open() as file:
            for line in file:
                if not line.startswith(b'{"checkpoint"'):
                    before += 1
                    continue
                note = str(_loads(line).get("checkpoint"))
                try:
                    size = max(parse_checkpoint(note).size, before)
                except BadNote:
                    size = -1
                yield StoredCheckpoint(size, note)

    def tile(self, organization: str, level: int, index: int) -> bytes:
        """Return nothing: an export has no tiles."""
        return b""

    def is_complete(self) -> bool:
        """Tell whether the file ends as an export ends: a cut or a broken copy does not."""
        with self._open() as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 4096))
            last = file.read().splitlines(keepends=True)[-1]
        return last.endswith(b"\n") and type(_loads(last).get("end")) is dict

    def reopen(self) -> Source | None:
        """Return None: a file is read by one process."""
        return None

    def close(self) -> None:
        """Release nothing."""

    def _open(self) -> BinaryIO:
        return self._path.open("rb")

    def _entry_lines(self) -> Iterator[bytes]:
        """Yield every line that is neither header nor checkpoint nor end: whatever it is, it stands for an entry."""
        with self._open() as file:
            next(file, None)
            for line in file:
                if line.startswith(_ENTRY_START) or not line.startswith((b'{"checkpoint"', b'{"end"')):
                    yield line


def _hash_of(line: bytes) -> bytes:
    if line[_HASH_AT + 64 : _BODY_AT] != _ENTRY_MIDDLE or not line.startswith(_ENTRY_START):
        return b""
    try:
        return binascii.unhexlify(line[_HASH_AT : _HASH_AT + 64]) if line.endswith(b"}\n") else b""
    except binascii.Error:
        return b""


def _numbers_of(body: bytes) -> tuple[int, int]:
    match = _TAIL.search(body, max(0, len(body) - 200))
    if match is not None and match.end() == len(body):
        return int(match[1]), int(match[2])
    fields = fields_of(body)
    return (fields["seq"], fields["ts"]) if fields else (-1, -1)


def _loads(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if type(value) is dict else {}


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
