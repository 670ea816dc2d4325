"""How far running requests have come: a row for each long one that says so, gone once it has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from metaqore.messages import Write
from metaqore.requests.heartbeat import ForgetProgress, MarkProgress
from metaqore.store.bulk import placeholders
from metaqore.store.connection import Connection
from metaqore.store.engine import Database


class OngoingRows:
    """See ``metaqore.requests.heartbeat.OngoingReads``."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self._db = database
        self._connection = connection

    def still_running(self, fences: Mapping[str, int]) -> set[str]:
        """Return those requests that run under these fences."""
        sql = f"SELECT id, fence FROM requests WHERE state = 'running' AND id IN ({placeholders(len(fences))})"
        rows = self._connection.exec_driver_sql(self._db.sql(sql), tuple(fences)).fetchall()
        return {row[0] for row in rows if fences[row[0]] == row[1]}


def _mark(db: Database, connection: Connection, writes: Sequence[MarkProgress]) -> None:
    sql = db.sql(
        "INSERT INTO request_progress (request, organization, fence, of, done, total, at) "
        f"SELECT id, organization, fence, {', '.join(['CAST(? AS text)'] + ['CAST(? AS bigint)'] * 3)} FROM requests "
        "WHERE id = ? AND fence = ? AND state = 'running' "
        "ON CONFLICT (request) DO UPDATE SET fence = excluded.fence, of = excluded.of, done = excluded.done, "
        "total = excluded.total, at = excluded.at"
    )
    for w in writes:
        connection.exec_driver_sql(sql, (w.mark.of, w.mark.done, w.mark.total, w.at, w.request, w.fence))


def _forget(db: Database, connection: Connection, writes: Sequence[ForgetProgress]) -> None:
    for write in writes:
        connection.exec_driver_sql(db.sql("DELETE FROM request_progress WHERE request = ?"), (write.request,))


WRITERS: dict[type[Write], Callable[[Database, Connection, Sequence[Any]], None]] = {
    MarkProgress: _mark,
    ForgetProgress: _forget,
}
