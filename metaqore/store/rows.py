"""Rows as plain dictionaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from metaqore.store.engine import Database


def one(db: Database, connection: Connection, sql: str, values: Sequence[Any]) -> dict[str, Any] | None:
    """Return the only row of a query (written with ``?``), or None."""
    found = connection.exec_driver_sql(db.sql(sql), tuple(values)).mappings().one_or_none()
    return None if found is None else {str(name): value for name, value in found.items()}


def many(db: Database, connection: Connection, sql: str, values: Sequence[Any]) -> list[dict[str, Any]]:
    """Return all rows of a query (written with ``?``)."""
    result = connection.exec_driver_sql(db.sql(sql), tuple(values))
    names = list(result.keys())
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
