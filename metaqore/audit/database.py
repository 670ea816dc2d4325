"""Reads the audit tables straight from SQLite or PostgreSQL, without the engine: stdlib ``sqlite3`` or ``psycopg``.

Nothing is written. The columns of a row are joined by the database to the bytes that the body must end with, so that
the check of columns against bytes is one comparison per row; where it fails, the row is looked at in Python.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

try:
    # Newer than what Python is linked with, as a rule, and a fifth faster at what is asked of it here.
    import pysqlite3.dbapi2 as sqlite3
except ImportError:
    import sqlite3

from metaqore.audit.source import CHUNK_ROWS, CannotRead, Chunk, Row, Source, StoredCheckpoint

ENTRIES_TABLE = "audit_entries"
CHECKPOINTS_TABLE = "audit_checkpoints"
TILES_TABLE = "audit_tiles"

_MAX_BIGINT = 2**63 - 1
#: As much of a SQLite file as its library allows, which is 2 GB as a rule.
_MAPPED_BYTES = 1 << 40
_COLUMNS = "seq, tag, actor, project, request_id, ts_ms, body, leaf_hash"
# Both give RFC 8785 bytes, apart from rare control characters; where they differ, Python looks again.
_SQLITE_EXACT_TAIL = (
    "'},'||substr(json_object('actor',actor,'organization',organization,'project',project,'request',request_id,"
    "'seq',seq,'tag',tag,'ts',ts_ms,'v',1),2)"
)
# Half the price. A blob sorts behind every text and a text behind every number, so nothing else passes for what it is
# not; and "},"actor":"" and the other names between columns stand once in an entry, for in a text their quotes are
# escaped. What needs escaping differs from the bytes, or has a backslash: then the exact tail is asked for.
_SQLITE_PARTS = (
    """'},"actor":"'""", "actor", "?", "project", """'","request":"'""", "request_id", """'","seq":'""", "seq",
    """',"tag":"'""", "tag", """'","ts":'""", "ts_ms", """',"v":1}'""",
)  # fmt: skip
# One call makes the text in one piece where SQLite has it (3.44); ``format`` would end a text at its first NUL.
_SQLITE_JOINED = (
    f"concat({','.join(_SQLITE_PARTS)})" if sqlite3.sqlite_version_info >= (3, 44) else "||".join(_SQLITE_PARTS)
)
_SQLITE_TAIL = (
    "CASE WHEN actor < x'' AND tag < x'' AND project < x'' AND request_id < x'' AND ts_ms < '' "
    f"THEN {_SQLITE_JOINED} ELSE {_SQLITE_EXACT_TAIL} END"
)
_POSTGRES_TAIL = (
    """convert_to('},"actor":'||to_json(actor)||',"organization":'||to_json(organization)||',"project":'"""
    """||coalesce(to_json(project)::text,'null')||',"request":'||coalesce(to_json(request_id)::text,'null')"""
    """||',"seq":'||seq||',"tag":'||to_json(tag)||',"ts":'||ts_ms||',"v":1}','UTF8')"""
)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _decoded(values: Any) -> Row:
    """Return a row whose columns of kind TEXT are text; bytes and hash stay as they are."""
    raw, kinds = values[:8], values[8:]
    texts = [_text(value) if kind == b"text" else value for value, kind in zip(raw[:6], kinds, strict=True)]
    return Row(*texts, *raw[6:])


class DatabaseSource:
    """The queries; ``SqliteSource`` and ``PostgresSource`` know how to run them."""

    has_columns = True
    #: The bytes with which the body must end: made fast, and exactly. See ``Chunk``.
    _tail: str
    _exact_tail: str
    #: What makes a row, and how.
    _columns = _COLUMNS
    _row: Callable[[Any], Row] = staticmethod(Row._make)

    def __init__(self, name: str) -> None:
        self.name = name

    def organizations(self) -> list[str]:
        """Return the organizations that have entries or checkpoints, hopping through the index."""
        tables = [table for table in (ENTRIES_TABLE, CHECKPOINTS_TABLE) if self._has(table)]
        return sorted({name for table in tables for name in self._names(table)})

    def last_seq(self, organization: str) -> int:
        """Return the highest integer sequence number."""
        rows = self._all(
            f"SELECT max(seq) FROM {ENTRIES_TABLE} WHERE organization = ? AND seq <= {_MAX_BIGINT}", organization
        )
        return int(rows[0][0] or 0)

    def strays(self, organization: str) -> int:
        """Return how many rows have no usable sequence number."""
        rows = self._all(
            f"SELECT count(*) FROM {ENTRIES_TABLE} WHERE organization = ? "
            f"AND (seq < 1 OR seq > {_MAX_BIGINT} OR seq IS NULL)",
            organization,
        )
        return int(rows[0][0])

    def chunks(self, organization: str, first: int, count: int, *, exact: bool = False) -> Iterator[Chunk]:
        """Yield the entries ``first`` to ``first + count - 1``."""
        sql = (
            f"SELECT seq, leaf_hash, body, {self._exact_tail if exact else self._tail} FROM {ENTRIES_TABLE} "
            "WHERE organization = ? AND seq >= ? AND seq < ? ORDER BY seq"
        )
        between = f'","organization":{json.dumps(organization, ensure_ascii=False)},"project":"'
        given = [between] * (self._tail.count("?") if not exact else 0)
        for rows in self._batches(sql, *given, organization, first, first + count):
            chunk = Chunk(*zip(*rows, strict=True))
            if exact or b"\\" not in b"".join(chunk.tails):
                yield chunk
            else:
                yield from self.chunks(organization, chunk.seqs[0], len(rows), exact=True)

    def rows(self, organization: str, first: int) -> Iterator[Row]:
        """Yield the entries from ``first`` on, then those without a usable number."""
        head = f"SELECT {self._columns} FROM {ENTRIES_TABLE} WHERE organization = ? AND "
        for rows in self._batches(head + f"seq >= ? AND seq <= {_MAX_BIGINT} ORDER BY seq", organization, first):
            yield from map(self._row, rows)
        stray = f"(seq < 1 OR seq > {_MAX_BIGINT} OR seq IS NULL) ORDER BY seq"
        for rows in self._batches(head + stray, organization):
            yield from map(self._row, rows)

    def row(self, organization: str, seq: int) -> Row | None:
        """Return the entry filed under ``seq``."""
        sql = f"SELECT {self._columns} FROM {ENTRIES_TABLE} WHERE organization = ? AND seq = ?"
        rows = self._all(sql, organization, seq)
        return self._row(rows[0]) if rows else None

    def checkpoints(self, organization: str) -> Iterator[StoredCheckpoint]:
        """Yield the stored checkpoints by size."""
        if not self._has(CHECKPOINTS_TABLE):
            return
        sql = f"SELECT size, note FROM {CHECKPOINTS_TABLE} WHERE organization = ? ORDER BY size"
        for rows in self._batches(sql, organization):
            for size, note in rows:
                yield StoredCheckpoint(size if type(size) is int else -1, _text(note))

    def tile(self, organization: str, level: int, index: int) -> bytes:
        """Return a stored tile."""
        if not self._has(TILES_TABLE):
            return b""
        sql = f"SELECT hashes FROM {TILES_TABLE} WHERE organization = ? AND level = ? AND tile_index = ?"
        rows = self._all(sql, organization, level, index)
        return rows[0][0] if rows and type(rows[0][0]) is bytes else b""

    def has_table(self, name: str) -> bool:
        """Tell whether there is such a table beside the log's own."""
        return self._has(name)

    def ask(self, sql: str, *values: Any) -> list[Any]:
        """Return all rows of a statement over other tables; SQLite gives text as bytes."""
        return self._all(sql, *values)

    def is_complete(self) -> bool:
        """Return True: a database has no end that could be missing."""
        return True

    def reopen(self) -> Source:
        """Return another reader of the same database."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the connection."""
        raise NotImplementedError

    def _names(self, table: str) -> set[str]:
        found: set[str] = set()
        last = ""
        while True:
            rows = self._all(f"SELECT min(organization) FROM {table} WHERE organization > ?", last)
            # A name that comes twice is not text that can be asked for: it sorts behind all that is.
            if rows[0][0] is None or _text(rows[0][0]) in found:
                return found
            last = _text(rows[0][0])
            found.add(last)

    def _has(self, table: str) -> bool:
        raise NotImplementedError

    def _all(self, sql: str, *values: Any) -> list[Any]:
        raise NotImplementedError

    def _batches(self, sql: str, *values: Any) -> Iterator[list[Any]]:
        raise NotImplementedError


class SqliteSource(DatabaseSource):
    """A SQLite file, opened read-only; a running MetaQore may go on writing.

    Raises:
        CannotRead: there is no such file, or it has no audit log.
    """

    _tail = _SQLITE_TAIL
    _exact_tail = _SQLITE_EXACT_TAIL
    _columns = (
        f"{_COLUMNS}, typeof(seq), typeof(tag), typeof(actor), typeof(project), typeof(request_id), typeof(ts_ms)"
    )
    _row = staticmethod(_decoded)

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path
        if not path.is_file():
            raise CannotRead(f"{path}: there is no such file")
        try:
            self._connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)
            # Not decoded by the driver: a tampered column need not be UTF-8, and bytes are what is compared.
            self._connection.text_factory = bytes
            # A row is read where it lies in the system's cache of the file, not copied page by page.
            self._connection.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")
            # One snapshot for entries and checkpoints, though the writers go on.
            self._connection.execute("BEGIN")
            self._connection.execute("SELECT json_object('a', 1)")
            if not self._has(ENTRIES_TABLE):
                raise CannotRead(f"{path}: no table {ENTRIES_TABLE}, so this is no MetaQore database")
        except sqlite3.Error as error:
            raise CannotRead(f"{path}: {error}") from error

    def reopen(self) -> Source:
        """Return another reader of the same file."""
        return SqliteSource(self._path)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _has(self, table: str) -> bool:
        return bool(self._all("SELECT 1 FROM sqlite_master WHERE name = ? AND type IN ('table', 'view')", table))

    def _all(self, sql: str, *values: Any) -> list[Any]:
        with self._reading():
            found: list[Any] = self._connection.execute(sql, values).fetchall()
            return found

    def _batches(self, sql: str, *values: Any) -> Iterator[list[Any]]:
        with self._reading():
            cursor = self._connection.execute(sql, values)
        while True:
            with self._reading():
                rows = cursor.fetchmany(CHUNK_ROWS)
            if not rows:
                return
            yield rows

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise CannotRead(f"{self.name}: {error}") from error


class PostgresSource(DatabaseSource):
    """A PostgreSQL database, read in one repeatable-read, read-only transaction.

    Raises:
        CannotRead: it cannot be reached, has no audit log, or ``psycopg`` is not installed.
    """

    _tail = _exact_tail = _POSTGRES_TAIL

    def __init__(self, dsn: str) -> None:
        super().__init__(_without_password(dsn))
        self._dsn = dsn
        self._cursors = 0
        try:
            import psycopg
        except ImportError as error:
            raise CannotRead("reading PostgreSQL needs psycopg: pip install 'psycopg[binary]'") from error
        self._error = psycopg.Error
        with self._reading():
            self._connection = psycopg.connect(dsn, connect_timeout=10)
            self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self._connection.read_only = True
        if not self._has(ENTRIES_TABLE):
            raise CannotRead(f"{self.name}: no table {ENTRIES_TABLE}, so this is no MetaQore database")

    def reopen(self) -> Source:
        """Return another connection to the same database."""
        return PostgresSource(self._dsn)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _has(self, table: str) -> bool:
        return self._all("SELECT to_regclass(?)::text", table)[0][0] is not None

    def _all(self, sql: str, *values: Any) -> list[Any]:
        with self._reading(), self._connection.cursor(binary=True) as cursor:
            cursor.execute(_postgres(sql), values)
            return cursor.fetchall()

    def _batches(self, sql: str, *values: Any) -> Iterator[list[Any]]:
        self._cursors += 1
        with self._connection.cursor(f"audit_{self._cursors}", binary=True) as cursor:
            with self._reading():
                cursor.execute(_postgres(sql), values)
            while True:
                with self._reading():
                    rows = cursor.fetchmany(CHUNK_ROWS)
                if not rows:
                    return
                yield rows

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except self._error as error:
            raise CannotRead(f"{self.name}: {error}") from error


def open_database(dsn: str) -> DatabaseSource:
    """Return the source of a DSN: ``sqlite:///relative``, ``sqlite:////absolute``, a path, or ``postgresql://…``.

    Raises:
        CannotRead: it cannot be used.
    """
    scheme, separator, rest = dsn.partition("://")
    if not separator:
        return SqliteSource(Path(dsn))
    backend = scheme.partition("+")[0]
    if backend == "sqlite":
        return SqliteSource(Path(unquote(rest.removeprefix("/").partition("?")[0])))
    if backend in ("postgresql", "postgres"):
        return PostgresSource(f"postgresql://{rest}")
    raise CannotRead(f"--db {scheme}://…: expected a SQLite path, sqlite:///path or postgresql://…")


def _postgres(sql: str) -> bytes:
    return sql.replace("%", "%%").replace("?", "%s").encode()


def _without_password(dsn: str) -> str:
    parts = urlsplit(dsn)
    return f"postgresql://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
