"""A connection that hands plain SQL to the driver.

SQLAlchemy keeps the pools, the tables and the migrations. Its result machinery is left out of the way of single
statements: measured, it took longer than SQLite itself for the dozen small statements of one decision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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

    __slots__ = ("_cursor",)

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""
        return int(self._cursor.rowcount)

    def keys(self) -> list[str]:
        """Return the names of the columns."""
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
        names = self.keys()
        return Mappings(dict(zip(names, row, strict=True)) for row in self.fetchall())


class Connection:
    """A pooled driver connection, for as long as the block that gave it lasts."""

    __slots__ = ("_driver", "is_sqlite")

    def __init__(self, driver: Any, *, is_sqlite: bool) -> None:
        self._driver = driver
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
        return Result(cursor)
