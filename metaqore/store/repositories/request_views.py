"""Look-ups of requests for cancelling, sweeping and schedules; the effects of cancelling and of firing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from metaqore.errors import Contention
from metaqore.messages import Write
from metaqore.requests.cancel import CancelRequest
from metaqore.store.connection import Connection
from metaqore.store.engine import Database
from metaqore.store.rows import one

_OPEN = "state IN ('accepted', 'running')"


class RequestViews:
    """See ``metaqore.requests.sweep.SweepReads`` and ``metaqore.requests.cancel.RequestReads``."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self._db = database
        self._connection = connection

    def _all(self, sql: str, *values: Any) -> Sequence[Any]:
        return self._connection.exec_driver_sql(self._db.sql(sql), values).fetchall()

    def request_row(self, organization: str, request: str) -> Mapping[str, Any] | None:
        """Return a request's row."""
        sql = "SELECT * FROM requests WHERE id = ? AND organization = ?"
        return one(self._db, self._connection, sql, (request, organization))

    def due(self, now: int) -> dict[str, int]:
        """Return queue → how many requests could be claimed now."""
        rows = self._all(
            f"SELECT queue, count(*) FROM requests WHERE {_OPEN} AND available_at <= ? "
            "AND (state = 'accepted' OR lease_until <= ?) GROUP BY queue",
            now, now,
        )  # fmt: skip
        return {row[0]: row[1] for row in rows}

    def oldest_due(self, now: int) -> dict[str, int]:
        """Return queue → since when its longest waiting request, or delivery, could be claimed."""
        rows = self._all(
            "SELECT queue, min(CASE WHEN state = 'running' AND lease_until > available_at THEN lease_until "
            f"ELSE available_at END) FROM requests WHERE {_OPEN} AND available_at <= ? "
            "AND (state = 'accepted' OR lease_until <= ?) GROUP BY queue",
            now, now,
        )  # fmt: skip
        deliveries = self._all(
            "SELECT min(CASE WHEN p.not_before > d.next_at THEN p.not_before ELSE d.next_at END) "
            "FROM webhook_deliveries d JOIN webhook_endpoints p ON p.id = d.endpoint WHERE d.state = 'pending' AND "
            "d.next_at <= ? AND (d.lease_until IS NULL OR d.lease_until <= ?) AND p.state = 'active' "
            "AND p.not_before <= ?",
            now, now, now,
        )[0][0]  # fmt: skip
        return {row[0]: row[1] for row in rows} | ({"system": deliveries} if deliveries is not None else {})

    def looked_after(self) -> dict[str, int]:
        """Return queue → when a worker last drained it."""
        return {row[0]: row[1] for row in self._all("SELECT queue, max(at) FROM worker_progress GROUP BY queue")}

    def worn_out(self, now: int, max_attempts: int, limit: int) -> list[str]:
        """Return ids of requests whose last allowed attempt ended without an outcome."""
        rows = self._all(
            f"SELECT id FROM requests WHERE {_OPEN} AND state = 'running' AND lease_until <= ? AND attempt >= ? "
            "LIMIT ?",
            now, max_attempts, limit,
        )  # fmt: skip
        return [row[0] for row in rows]

    def organizations(self) -> list[str]:
        """Return every organization that has ever sent anything."""
        return [row[0] for row in self._all("SELECT organization FROM counters ORDER BY organization")]


def fire_once(db: Database, connection: Connection, schedule: str, fire_at: int, now: int) -> bool:
    """Record that a schedule fires at ``fire_at``; False where another beat has done so already."""
    inserted = connection.exec_driver_sql(
        db.sql("INSERT INTO schedule_fires (schedule, fire_at, fired_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"),
        (schedule, fire_at, now),
    )
    return inserted.rowcount == 1


def note_progress(db: Database, connection: Connection, worker: str, queue: str, at: int, drained: int) -> None:
    """Note that ``worker`` looked after ``queue``."""
    connection.exec_driver_sql(
        db.sql(
            "INSERT INTO worker_progress (worker, queue, at, drained) VALUES (?, ?, ?, ?) ON CONFLICT (worker, queue) "
            "DO UPDATE SET at = excluded.at, drained = worker_progress.drained + excluded.drained"
        ),
        (worker, queue, at, drained),
    )


def purge(db: Database, connection: Connection, *, keys_before: int, fires_before: int) -> int:
    """Delete idempotency keys and schedule firings that are older than they need to be; return how many keys."""
    connection.exec_driver_sql(db.sql("DELETE FROM schedule_fires WHERE fired_at < ?"), (fires_before,))
    connection.exec_driver_sql(db.sql("DELETE FROM worker_progress WHERE at < ?"), (fires_before,))
    connection.exec_driver_sql(db.sql("DELETE FROM request_progress WHERE at < ?"), (fires_before,))
    gone = connection.exec_driver_sql(db.sql("DELETE FROM idempotency WHERE created_at < ?"), (keys_before,))
    return gone.rowcount


def _cancel(db: Database, connection: Connection, writes: Sequence[CancelRequest]) -> None:
    for write in writes:
        changed = connection.exec_driver_sql(
            db.sql(
                "UPDATE requests SET state = 'cancelled', fence = fence + 1, finished_at = ?, lease_owner = NULL, "
                f"lease_until = NULL WHERE id = ? AND organization = ? AND {_OPEN}"
            ),
            (write.at, write.id, write.organization),
        ).rowcount
        if changed != 1:
            raise Contention(f"request {write.id} ended while it was being cancelled")


WRITERS: dict[type[Write], Callable[[Database, Connection, Sequence[Any]], None]] = {CancelRequest: _cancel}
