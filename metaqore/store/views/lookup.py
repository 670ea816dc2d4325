"""What all read-only look-ups share: plain SQL by index, one connection for each question, pages by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from metaqore.store.engine import Database

Row = Mapping[str, Any]


class Page(msgspec.Struct, frozen=True):
    """One page of rows. ``last`` is the key to go on after, or None where this is the end."""

    items: Sequence[Any]
    last: Any


class Lookup:
    """Base of the look-ups of one feature. Every method takes the organization first and never looks beyond it."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of a statement written with ``?``.

        Raises:
            Unavailable: the database cannot be reached.
        """
        with self._db.read() as connection:
            return [*connection.exec_driver_sql(self._db.sql(sql), tuple(values)).mappings()]

    def row(self, sql: str, values: Sequence[Any]) -> Row | None:
        """Return the only row of a statement, or None."""
        found = self.rows(sql, values)
        return found[0] if found else None

    def page(
        self,
        columns: str,
        table: str,
        where: Mapping[str, Any],
        *,
        key: str,
        after: Any,
        limit: int,
        descending: bool = False,
    ) -> Page:
        """Return up to ``limit`` rows in the order of ``key``.

        Args:
            columns: what to select; ``key`` must be among it.
            where: column → value; None leaves the condition out.
            after: the ``last`` of the page before, or None.
        """
        given = {column: value for column, value in where.items() if value is not None}
        conditions = [f"{column} = ?" for column in given]
        values = [*given.values()]
        if after is not None:
            conditions.append(f"{key} {'<' if descending else '>'} ?")
            values.append(after)
        order = "DESC" if descending else "ASC"
        sql = f"SELECT {columns} FROM {table} WHERE {' AND '.join(conditions)} ORDER BY {key} {order} LIMIT ?"
        return paged(self.rows(sql, [*values, limit + 1]), key, limit)


def paged(rows: Sequence[Row], key: str, limit: int) -> Page:
    """Return the page that ``limit + 1`` fetched rows make."""
    if len(rows) <= limit:
        return Page(rows, None)
    shown = rows[:limit]
    return Page(shown, shown[-1][key])
