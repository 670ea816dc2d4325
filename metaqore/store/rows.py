"""Rows as plain dictionaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metaqore.store.connection import Connection
from metaqore.store.engine import Database


def one(db: Database, connection: Connection, sql: str, values: Sequence[Any]) -> dict[str, Any] | None:
    """Return the only row of a query (written with ``?``), or None."""
    return connection.exec_driver_sql(db.sql(sql), tuple(values)).mappings().one_or_none()


def many(db: Database, connection: Connection, sql: str, values: Sequence[Any]) -> list[dict[str, Any]]:
    """Return all rows of a query (written with ``?``)."""
    return connection.exec_driver_sql(db.sql(sql), tuple(values)).mappings()
