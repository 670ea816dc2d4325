"""Sinks of the audit log and their cursors. See ``metaqore.delivery.sinks``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from metaqore.delivery.cloudevents import Recorded
from metaqore.delivery.sinks import AddSink, RemoveSink, Sink
from metaqore.messages import Write
from metaqore.store.connection import Connection
from metaqore.store.engine import Database
from metaqore.store.rows import many

_SINK = "s.id, s.organization, s.name, s.kind, s.target, s.mode, s.secret, s.cursor, s.failures, s.fence"


class SinkRows:
    """See ``metaqore.delivery.sinks.SinkRows``."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self._db = database
        self._connection = connection

    def _many(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        return many(self._db, self._connection, sql, values)

    def _change(self, sql: str, *values: Any) -> bool:
        return self._connection.exec_driver_sql(self._db.sql(sql), values).rowcount == 1

    def sinks(self, organization: str) -> list[Mapping[str, Any]]:
        """Return an organization's sinks with their lag, without secrets."""
        return list(
            self._many(
                "SELECT s.id, s.name, s.kind, s.target, s.mode, s.cursor, s.failures, s.next_at, s.last_error, "
                "s.taken_at, coalesce(c.audit_seq, 0) - s.cursor AS lag FROM audit_sinks s "
                "LEFT JOIN counters c ON c.organization = s.organization WHERE s.organization = ? ORDER BY s.name",
                organization,
            )
        )

    def taken(self, target: str) -> bool:
        """Whether some sink of anybody writes to a target."""
        return bool(self._many("SELECT id FROM audit_sinks WHERE target = ? LIMIT 1", target))

    def newest(self, organization: str) -> int:
        """Return the number of an organization's last entry."""
        rows = self._many("SELECT audit_seq FROM counters WHERE organization = ?", organization)
        return int(rows[0]["audit_seq"]) if rows else 0

    def due(self, now: int) -> list[Sink]:
        """Return the sinks that have something to take and may be asked now, the furthest behind in time first."""
        rows = self._many(
            f"SELECT {_SINK} FROM audit_sinks s JOIN counters c ON c.organization = s.organization "
            "WHERE s.cursor < c.audit_seq AND s.next_at <= ? AND s.lease_until <= ? ORDER BY s.next_at, s.id",
            now, now,
        )  # fmt: skip
        return [Sink(**row) for row in rows]

    def claim(self, sink: Sink, now: int, until: int) -> bool:
        """Take the lease and raise the fence, where the fence still is the sink's."""
        sql = (
            "UPDATE audit_sinks SET lease_until = ?, fence = fence + 1 WHERE id = ? AND fence = ? AND lease_until <= ?"
        )
        mine = self._change(sql, until, sink.id, sink.fence, now)
        if mine:
            sink.fence += 1
        return mine

    def entries(self, organization: str, after: int, limit: int) -> list[Recorded]:
        """Return entries in their order; numbers are without gaps and visible in order."""
        rows = self._many(
            "SELECT seq, tag, ts_ms, body, leaf_hash FROM audit_entries WHERE organization = ? AND seq > ? "
            "ORDER BY seq LIMIT ?",
            organization, after, limit,
        )  # fmt: skip
        return [Recorded(r["seq"], r["tag"], r["ts_ms"], bytes(r["body"]), bytes(r["leaf_hash"])) for r in rows]

    def advance(self, sink: Sink, cursor: int, now: int) -> bool:
        """Move the cursor of a claimed sink on and end the lease; False where another holds it."""
        sql = (
            "UPDATE audit_sinks SET cursor = ?, failures = 0, last_error = NULL, taken_at = ?, lease_until = 0, "
            "next_at = 0 WHERE id = ? AND fence = ?"
        )
        return self._change(sql, cursor, now, sink.id, sink.fence)

    def postpone(self, sink: Sink, error: str, next_at: int) -> None:
        """Note a failure of a claimed sink and end the lease."""
        sql = (
            "UPDATE audit_sinks SET failures = failures + 1, last_error = ?, next_at = ?, lease_until = 0 "
            "WHERE id = ? AND fence = ?"
        )
        self._change(sql, error, next_at, sink.id, sink.fence)


def _add(db: Database, connection: Connection, writes: Sequence[AddSink]) -> None:
    sql = db.sql(
        "INSERT INTO audit_sinks (id, organization, name, kind, target, mode, secret, cursor, created_by, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    )
    for w in writes:
        values = (w.id, w.organization, w.name, w.kind, w.target, w.mode, w.secret, w.cursor, w.created_by, w.at)
        connection.exec_driver_sql(sql, values)


def _remove(db: Database, connection: Connection, writes: Sequence[RemoveSink]) -> None:
    for w in writes:
        sql = db.sql("DELETE FROM audit_sinks WHERE id = ? AND organization = ?")
        connection.exec_driver_sql(sql, (w.id, w.organization))


WRITERS: dict[type[Write], Callable[[Database, Connection, Sequence[Any]], None]] = {
    AddSink: _add,
    RemoveSink: _remove,
}
