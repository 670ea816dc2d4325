"""Patterns and specialists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from metaqore.messages import Write
from metaqore.store.engine import Database


class HmcpRows:
    """Look-ups of patterns and specialists."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self._db = database
        self._connection = connection


WRITERS: dict[type[Write], Callable[[Database, Connection, Sequence[Any]], None]] = {}
