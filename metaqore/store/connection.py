"""A connection that hands plain SQL to the driver.

SQLAlchemy keeps the pools, the tables and the migrations. Its result machinery is left out of the way of single
statements: measured, it took longer than SQLite itself for the dozen small statements of one decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

Row = tuple[Any, ...]


class Mappings(list[dict[str, Any]]):
    """Rows as dictionaries."""

    def one_or_none(self) -> dict[str, Any] | None:
        """Return the only row, or None.

        Raises:
            LookupError: there are more.
        """
        if len(self) > 1:
            raise LookupError(f"expected one row at most, found {len(self)}")
        return self[0] if self else None

    def fetchall(self) -> list[dict[str, Any]]:
        """Return all rows."""
        return self


class Result:
    """What a statement gave: rows, or how many rows it changed."""

    __slots__ = ("_cursor", "_pipeline")

    def __init__(self, cursor: Any, pipeline: Any = None) -> None:
        self._cursor = cursor
        self._pipeline = pipeline

    @property
    def rowcount(self) -> int:
        """How many rows were changed; waits for a statement that is still under way."""
        if self._pipeline is not None and self._cursor.pgresult is None:
            self._pipeline.sync()
        return int(self._cursor.rowcount)

    def keys(self) -> list[str]:
        """Return the names of the columns; known once the rows are there."""
        return [column[0] for column in self._cursor.description or ()]

    def fetchall(self) -> list[Row]:
        """Return all rows."""
        rows: list[Row] = self._cursor.fetchall()
        return rows

    def __iter__(self) -> Iterator[Row]:
        return iter(self.fetchall())

    def one_or_none(self) -> Row | None:
        """Return the only row, or None.

        Raises:
            LookupError: there are more.
        """
        rows = self.fetchall()
        if len(rows) > 1:
            raise LookupError(f"expected one row at most, found {len(rows)}")
        return rows[0] if rows else None

    def one(self) -> Row:
        """Return the only row.

        Raises:
            LookupError: there is none, or more than one.
        """
        row = self.one_or_none()
        if row is None:
            raise LookupError("expected one row, found none")
        return row

    def scalar(self) -> Any:
        """Return the first column of the only row, or None."""
        row = self.one_or_none()
        return None if row is None else row[0]

    def scalar_one(self) -> Any:
        """Return the first column of the only row; there must be one."""
        return self.one()[0]

    def mappings(self) -> Mappings:
        """Return all rows as dictionaries."""
        rows = self.fetchall()
        names = self.keys()
        return Mappings(dict(zip(names, row, strict=True)) for row in rows)


class Connection:
    """A pooled driver connection, for as long as the block that gave it lasts.

    Args:
        pipeline: PostgreSQL's pipeline mode, in which a statement is waited for only where its result is asked for.
    """

    __slots__ = ("_checks", "_driver", "_pipeline", "is_sqlite")

    def __init__(self, driver: Any, *, is_sqlite: bool, pipeline: Any = None) -> None:
        self._driver = driver
        self._pipeline = pipeline
        self._checks: list[Callable[[], None]] = []
        self.is_sqlite = is_sqlite

    def exec_driver_sql(self, sql: str, parameters: Sequence[Any] = ()) -> Result:
        """Run one statement in the driver's own style; a list of tuples runs it once for each of them."""
        cursor = self._driver.cursor()
        if isinstance(parameters, list):
            cursor.executemany(sql, parameters)
        elif parameters:
            cursor.execute(sql, parameters)
        else:
            cursor.execute(sql)
        return Result(cursor, self._pipeline)

    def before_commit(self, check: Callable[[], None]) -> None:
        """Run a check on what a statement did: now, or at the end where that is still under way.

        Args:
            check: raises where the transaction may not be committed.
        """
        if self._pipeline is None:
            check()
        else:
            self._checks.append(check)

    def run_checks(self) -> None:
        """Run the checks that were put off."""
        for check in self._checks:
            check()
