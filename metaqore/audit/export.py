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
import contextlib
import json
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from pathlib import Path
from typing import Any, BinaryIO

from metaqore.audit.checkpoint import BadNote, parse_checkpoint
from metaqore.audit.source import CannotRead, Chunk, Row, Source, StoredCheckpoint, fields_of

EXPORT_FORMAT = "metaqore-audit-export/1"

_ENTRY_START = b'{"leaf_hash":"'
_ENTRY_MIDDLE = b'","entry":'
_CHECKPOINT_START = b'{"checkpoint"'
_END_START = b'{"end"'
_HASH_AT = len(_ENTRY_START)
_BODY_AT = _HASH_AT + 64 + len(_ENTRY_MIDDLE)


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
                self._index = _index(file)
        except OSError as error:
            raise CannotRead(f"{path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise CannotRead(f"{path}: no audit export, its first line is not a {EXPORT_FORMAT} header") from error

    def organizations(self) -> list[str]:
        """Return the one organization of the file."""
        return [self.organization]

    def last_seq(self, organization: str) -> int:
        """Return how many entries the file holds."""
        return self._index.entries

    def strays(self, organization: str) -> int:
        """Return 0: the lines have no numbers of their own."""
        return 0

    def chunks(self, organization: str, first: int, count: int, *, exact: bool = False) -> Iterator[Chunk]:
        """Yield up to ``count`` entries from line ``first`` on; a line that is no entry gives a wrong leaf hash."""
        for read in self._entry_lines(first):
            lines = read[:count]
            count -= len(lines)
            bodies = [line[_BODY_AT:-2] for line in lines]
            yield Chunk(_numbers_of(bodies, first), _hashes_of(lines), bodies, [b""] * len(lines))
            first += len(lines)
            if not count:
                return

    def rows(self, organization: str, first: int) -> Iterator[Row]:
        """Yield the entries from line ``first`` on."""
        for line in chain.from_iterable(self._entry_lines(first)):
            body = line[_BODY_AT:-2]
            fields = fields_of(body)
            seq = fields["seq"] if fields else None
            yield Row(seq, None, None, None, None, None, body, _hash_of(line))

    def row(self, organization: str, seq: int) -> Row | None:
        """Return the first entry that calls itself ``seq``."""
        for first in (max(seq, 1), 1):
            found = next(self.rows(organization, first), None)
            if found is not None and found.seq == seq:
                return found
        return next((row for row in self.rows(organization, 1) if row.seq == seq), None)

    def checkpoints(self, organization: str) -> Iterator[StoredCheckpoint]:
        """Yield the checkpoints in the order of the file; one filed behind entries that it does not cover is stale."""
        with self._path.open("rb") as file:
            for at, before in zip(self._index.checkpoints, self._index.before, strict=True):
                file.seek(at)
                note = str(_loads(file.readline()).get("checkpoint"))
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
        return self._index.ended

    def reopen(self) -> Source:
        """Return the reader itself: it holds no file open."""
        return self

    def close(self) -> None:
        """Release nothing."""

    def _entry_lines(self, first: int) -> Iterator[list[bytes]]:
        """Yield the entries' lines, from the ``first``-th on, some at a time."""
        index = self._index
        if first > index.entries:
            return
        mark = bisect_right(index.passed, first - 1) - 1
        skipped = first - 1 - index.passed[mark]
        with self._path.open("rb") as file:
            file.seek(index.marks[mark])
            while read := file.readlines(_READ_BYTES):
                lines = read if _are_entries(read) else [line for line in read if _is_entry(line)]
                if len(lines) > skipped:
                    yield lines[skipped:]
                skipped = max(0, skipped - len(lines))


@dataclass
class _Index:
    """Where things are in the file; for a million entries a few ten thousand bytes."""

    entries: int = 0
    ended: bool = False
    #: Offsets from which to read on, and how many entries stand before them.
    marks: array[int] = field(default_factory=lambda: array("q"))
    passed: array[int] = field(default_factory=lambda: array("q"))
    #: Offset of every checkpoint's line, and how many entries stand before it.
    checkpoints: array[int] = field(default_factory=lambda: array("q"))
    before: array[int] = field(default_factory=lambda: array("q"))


#: What is read at once: some 256 entries, hashed before they leave the processor's cache.
_READ_BYTES = 1 << 17


def _index(file: BinaryIO) -> _Index:
    """Read the lines after the header once; whatever is neither checkpoint nor end stands for an entry."""
    found = _Index()
    at = file.tell()
    while lines := file.readlines(_READ_BYTES):
        found.marks.append(at)
        found.passed.append(found.entries)
        if _are_entries(lines):
            found.entries += len(lines)
            found.ended = False
        else:
            _index_each(found, at, lines)
        at += sum(map(len, lines))
    return found


def _index_each(found: _Index, at: int, lines: list[bytes]) -> None:
    for line in lines:
        if _is_entry(line):
            found.entries += 1
            found.ended = False
        elif line.startswith(_CHECKPOINT_START):
            found.checkpoints.append(at)
            found.before.append(found.entries)
        else:
            found.ended = line.endswith(b"}\n")
        at += len(line)


def _is_entry(line: bytes) -> bool:
    return line.startswith(_ENTRY_START) or not line.startswith((_CHECKPOINT_START, _END_START))


def _are_entries(lines: list[bytes]) -> bool:
    """Tell whether all are, in the form in which they are written: as a rule they are."""
    return all(map(bytes.startswith, lines, repeat(_ENTRY_START)))


def _hashes_of(lines: list[bytes]) -> list[bytes]:
    """Return the leaf hashes that the lines state, an empty one for a line of another form."""
    if b"".join([line[_HASH_AT + 64 : _BODY_AT] for line in lines]) == _ENTRY_MIDDLE * len(lines):
        with contextlib.suppress(binascii.Error):
            joined = binascii.unhexlify(b"".join([line[_HASH_AT : _HASH_AT + 64] for line in lines]))
            return [joined[at : at + 32] for at in range(0, len(joined), 32)]
    return [_hash_of(line) for line in lines]


def _hash_of(line: bytes) -> bytes:
    if line[_HASH_AT + 64 : _BODY_AT] != _ENTRY_MIDDLE or not line.startswith(_ENTRY_START):
        return b""
    try:
        return binascii.unhexlify(line[_HASH_AT : _HASH_AT + 64])
    except binascii.Error:
        return b""


def _numbers_of(bodies: list[bytes], first: int) -> Sequence[int]:
    """Return sequence numbers, -1 where bytes have none; as a rule they go on from ``first``."""
    expected = range(first, first + len(bodies))
    # The last member of this name is the entry's own: what may have others, its details, stands before it.
    starts = [body.rfind(b'"seq":') for body in bodies]
    if min(starts) >= 0 and all(map(bytes.startswith, bodies, [b'"seq":%d,' % seq for seq in expected], starts)):
        return expected
    return [(fields_of(body) or {"seq": -1})["seq"] for body in bodies]


def _loads(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if type(value) is dict else {}


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
