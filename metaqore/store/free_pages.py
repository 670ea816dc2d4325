"""SQLite's free pages: what was deleted lies in them until they are used again, or overwritten here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from metaqore.store.connection import Connection

#: How many one transaction overwrites: 16 MB.
_SLICE = 4096


def overwrite_free_pages(write: Callable[[], AbstractContextManager[Connection]]) -> None:
    """Fill the pages that are free now with zeros, and let go of them again, in short transactions.

    Args:
        write: begins a write transaction.
    """
    with write() as connection:
        left = int(connection.exec_driver_sql("PRAGMA freelist_count").scalar())
        page = int(connection.exec_driver_sql("PRAGMA page_size").scalar())
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS free_pages (zeros BLOB)")
    while left > 0:
        with write() as connection:
            free = int(connection.exec_driver_sql("PRAGMA freelist_count").scalar())
            # The row itself takes a page, and so may the table: what is left over is little, and taken next.
            taken = max(1, min(free, left, _SLICE) - 2)
            # A quarter stays with the row: then what goes to pages of its own fills them to the last byte.
            zeros = taken * (page - 4) + page // 4
            connection.exec_driver_sql("INSERT INTO free_pages VALUES (zeroblob(?))", (zeros,))
        left = min(left, free) - taken
    with write() as connection:
        connection.exec_driver_sql("DROP TABLE free_pages")
