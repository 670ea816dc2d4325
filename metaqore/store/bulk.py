"""Statements over many rows: ``executemany`` on SQLite, one ``unnest`` statement on PostgreSQL.

Measured: on PostgreSQL ``executemany`` of updates costs 89 µs a row, a statement over arrays a tenth of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Boolean, Connection, Float, Integer, LargeBinary, Table

Row = Sequence[Any]


def _array_type(table: Table, column: str) -> str:
    kind = table.c[column].type
    if isinstance(kind, BigInteger | Integer):
        return "bigint[]"
    if isinstance(kind, Boolean):
        return "boolean[]"
    if isinstance(kind, Float):
        return "double precision[]"
    return "bytea[]" if isinstance(kind, LargeBinary) else "text[]"


class BulkInsert:
    """Insert rows given as tuples in the order of ``columns``."""

    def __init__(self, table: Table, columns: str, *, on_conflict: str = "") -> None:
        names = columns.split()
        head = f"INSERT INTO {table.name} ({', '.join(names)})"
        self._many = f"{head} VALUES ({', '.join('?' * len(names))}) {on_conflict}".rstrip()
        self._one = f"{head} VALUES ({', '.join(['%s'] * len(names))}) {on_conflict}".rstrip()
        arrays = ", ".join(f"%s::{_array_type(table, name)}" for name in names)
        self._unnest = f"{head} SELECT * FROM unnest({arrays}) {on_conflict}".rstrip()

    def __call__(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Insert ``rows`` and return how many were inserted."""
        if not rows:
            return 0
        if connection.dialect.name == "sqlite":
            return connection.exec_driver_sql(self._many, [tuple(row) for row in rows]).rowcount
        if len(rows) == 1:
            return connection.exec_driver_sql(self._one, tuple(rows[0])).rowcount
        return connection.exec_driver_sql(self._unnest, tuple(map(list, zip(*rows, strict=True)))).rowcount


class BulkUpdate:
    """Update rows given as tuples: the new values in the order of ``columns``, then the keys in the order of ``where``.

    ``extra`` is a further condition in plain SQL, and ``also`` further assignments that need no parameter; both may
    name columns only by ``{t}.column``.
    """

    def __init__(self, table: Table, columns: str, where: str, *, also: str = "", extra: str = "") -> None:
        names, keys = columns.split(), where.split()
        sets = [f"{name} = ?" for name in names] + ([also.replace("{t}.", "")] if also else [])
        conditions = [f"{key} = ?" for key in keys] + ([extra.replace("{t}.", "")] if extra else [])
        self._many = f"UPDATE {table.name} SET {', '.join(sets)} WHERE {' AND '.join(conditions)}"
        columns_of_v = names + [f"k_{key}" for key in keys]
        arrays = ", ".join(f"%s::{_array_type(table, name)}" for name in names + keys)
        sets = [f"{name} = v.{name}" for name in names] + ([also.replace("{t}", "t")] if also else [])
        conditions = [f"t.{key} = v.k_{key}" for key in keys] + ([extra.replace("{t}", "t")] if extra else [])
        self._unnest = (
            f"UPDATE {table.name} AS t SET {', '.join(sets)} FROM unnest({arrays}) AS v({', '.join(columns_of_v)}) "
            f"WHERE {' AND '.join(conditions)}"
        )

    def __call__(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Update and return how many rows were matched."""
        if not rows:
            return 0
        if connection.dialect.name == "sqlite":
            return connection.exec_driver_sql(self._many, [tuple(row) for row in rows]).rowcount
        return connection.exec_driver_sql(self._unnest, tuple(map(list, zip(*rows, strict=True)))).rowcount


def placeholders(n: int) -> str:
    """Return ``n`` question marks separated by commas."""
    return ", ".join("?" * n)
