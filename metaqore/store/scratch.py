"""A database for decisions that are only tried: the real tables, look-ups and writers, and nobody else.

It is SQLite's temporary kind: in memory while it is small, in a file that nobody sees and nothing leaves behind beyond.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from metaqore.messages import Request
from metaqore.requests.recorder import encode_payload
from metaqore.store.bulk import placeholders
from metaqore.store.connection import Connection
from metaqore.store.drivers import sqlite_module
from metaqore.store.engine import Database
from metaqore.store.tables import metadata
from metaqore.store.unit_of_work import SqlTransaction


class _Alone(Database):
    """What transactions ask of a database, without a file, a pool or a lock."""

    def __init__(self) -> None:
        self.dsn = ""
        self.is_sqlite = True
        self._placeholders = {}
        self.vault = None


class Scratch:
    """One transaction that is never committed anywhere. See ``metaqore.psmp.replay.World``."""

    def __init__(self) -> None:
        self._open()
        self._driver.executescript(_schema() + _NAMES)
        self._driver.execute("BEGIN")

    def _open(self) -> None:
        self._driver: Any = sqlite_module().connect("", isolation_level=None, check_same_thread=False)
        # Nothing is ever rolled back; a transaction for each statement would cost as much as the statement.
        self._driver.execute("PRAGMA journal_mode = OFF")
        self._connection = Connection(self._driver, is_sqlite=True)
        self._transaction = SqlTransaction(_Alone(), self._connection)

    def close(self) -> None:
        """Forget everything."""
        self._driver.close()

    def reads(self) -> Any:
        """Return PSMP's look-ups."""
        return self._transaction.reads("psmp")

    def apply(self, writes: list[Any]) -> None:
        """Apply effects."""
        self._transaction.apply(writes)

    def fork(self) -> Scratch:
        """Return another one that is as this is now."""
        other = Scratch.__new__(Scratch)
        other._open()
        self._driver.execute("COMMIT")
        self._driver.backup(other._driver)
        for driver in (self._driver, other._driver):
            driver.execute("BEGIN")
        return other

    def accept(self, request: Request) -> None:
        """Insert a request, which others may look up."""
        row = (request.seq, request.id, request.organization, request.project, request.principal, request.kind,
               request.queue, request.ordering_key, encode_payload(request.payload), "succeeded", request.created_at,
               request.created_at)  # fmt: skip
        self._driver.execute(
            "INSERT INTO requests (seq, id, organization, project, principal, kind, queue, ordering_key, payload, "
            f"state, available_at, created_at) VALUES ({placeholders(len(row))})", row,
        )  # fmt: skip

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows."""
        sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({placeholders(len(columns))})"
        self._driver.executemany(sql, rows)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement; return its rows."""
        found: list[tuple[Any, ...]] = self._driver.execute(sql, values).fetchall()
        return found

    def name_of(self, recorded: str) -> str:
        """Return the id that a recorded thing has here; its own, where no other was given."""
        found = self.rows("SELECT here FROM replayed_names WHERE recorded = ?", recorded)
        return str(found[0][0]) if found else recorded

    def rename(self, recorded: str, here: str) -> None:
        """Give the id that a recorded thing has here."""
        self.rows("INSERT OR REPLACE INTO replayed_names VALUES (?, ?)", recorded, here)

    def stand_at(self, project: str, position: int) -> None:
        """Let the next step of a project be ``position`` + 1, so that positions are those that were recorded."""
        self._driver.execute("UPDATE projects SET position = ? WHERE id = ?", (position, project))


_NAMES = "CREATE TABLE replayed_names (recorded TEXT PRIMARY KEY, here TEXT) WITHOUT ROWID;"


@cache
def _schema() -> str:
    dialect = sqlite.dialect()
    statements = []
    for table in metadata.sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=dialect)))
        statements += [str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes]
    return ";\n".join(statements) + ";"
