"""Events, endpoints and deliveries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from metaqore.delivery import model
from metaqore.delivery.model import Attempted, Delivery, Endpoint, wants
from metaqore.ids import new_id
from metaqore.messages import Write
from metaqore.store.bulk import BulkInsert, BulkUpdate, placeholders
from metaqore.store.engine import Database
from metaqore.store.rows import one
from metaqore.store.tables.delivery import events, webhook_deliveries, webhook_endpoints

_event = BulkInsert(events, "organization seq id project type subject request_id data created_at")
_delivery = BulkInsert(webhook_deliveries, "id organization endpoint event_id event_seq state next_at created_at")
_attempted = BulkUpdate(
    webhook_deliveries, "state last_status last_error latency_ms next_at delivered_at", "id fence",
    also="lease_until = NULL", extra="{t}.state = 'pending'",
)  # fmt: skip
_endpoint = BulkInsert(
    webhook_endpoints, "id organization project url secret events state reason created_by created_at updated_at"
)


def append_events(db: Database, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> int:
    """Append events and, in the same transaction, a delivery for every endpoint that wants one.

    Args:
        rows: (organization, seq, id, project, type, subject, request id, data, created_at).
    """
    _event(connection, rows)
    organizations = sorted({row[0] for row in rows})
    endpoints = _active(db, connection, organizations)
    if not endpoints:
        return 0
    deliveries = []
    for row in rows:
        for endpoint in endpoints.get(row[0], ()):
            in_project = endpoint.project is None or endpoint.project == row[3]
            if in_project and any(wants(pattern, row[4]) for pattern in endpoint.events):
                deliveries.append((new_id("del"), row[0], endpoint.id, row[2], row[1], "pending", row[8], row[8]))
    _delivery(connection, deliveries)
    return len(deliveries)


def _active(db: Database, connection: Connection, organizations: Sequence[str]) -> Mapping[str, list[Endpoint]]:
    found: defaultdict[str, list[Endpoint]] = defaultdict(list)
    rows = connection.exec_driver_sql(
        db.sql(
            "SELECT id, organization, project, url, secret, events, state FROM webhook_endpoints "
            f"WHERE state = 'active' AND organization IN ({placeholders(len(organizations))})"
        ),
        tuple(organizations),
    ).fetchall()
    for row in rows:
        found[row[1]].append(_endpoint_of(row))
    return found


def _endpoint_of(row: Sequence[Any]) -> Endpoint:
    return Endpoint(
        id=row[0], organization=row[1], project=row[2], url=row[3], secret=row[4],
        events=msgspec.json.decode(row[5]), state=row[6],
    )  # fmt: skip


class DeliveryRows:
    """Look-ups and claims of deliveries."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self._db = database
        self._connection = connection

    def endpoint_row(self, organization: str, endpoint: str) -> Mapping[str, Any] | None:
        """Return a whole endpoint."""
        sql = "SELECT * FROM webhook_endpoints WHERE id = ? AND organization = ?"
        return one(self._db, self._connection, sql, (endpoint, organization))

    def claim(self, now: int, lease_ms: int, limit: int, per_endpoint: int) -> list[Delivery]:
        """Claim deliveries that are due, under a lease and a raised fence; ``per_endpoint`` at most for a receiver."""
        lock = "" if self._db.is_sqlite else " FOR UPDATE OF d SKIP LOCKED"
        rows = self._connection.exec_driver_sql(
            self._db.sql(
                "SELECT p.id, p.organization, p.project, p.url, p.secret, p.events, p.state, d.id, d.event_id, "
                "d.event_seq, e.type, e.subject, e.project, e.request_id, e.data, e.created_at, d.attempt, d.fence "
                "FROM webhook_deliveries d JOIN webhook_endpoints p ON p.id = d.endpoint "
                "JOIN events e ON e.organization = d.organization AND e.seq = d.event_seq "
                "WHERE d.state = 'pending' AND d.next_at <= ? AND (d.lease_until IS NULL OR d.lease_until <= ?) "
                f"AND p.state = 'active' ORDER BY d.next_at, d.id LIMIT ?{lock}"
            ),
            (now, now, limit * 4),
        ).fetchall()
        busy: defaultdict[str, int] = defaultdict(int)
        claimed: list[Delivery] = []
        for r in rows:
            if busy[r[0]] >= per_endpoint or len(claimed) >= limit:
                continue
            busy[r[0]] += 1
            claimed.append(
                Delivery(
                    id=r[7], organization=r[1], endpoint=_endpoint_of(r), event_id=r[8], event_seq=r[9],
                    event_type=r[10], subject=r[11], project=r[12], request_id=r[13], data=r[14], created_at=r[15],
                    attempt=r[16] + 1, fence=r[17] + 1,
                )
            )  # fmt: skip
        for delivery in claimed:
            self._connection.exec_driver_sql(
                self._db.sql("UPDATE webhook_deliveries SET attempt = ?, fence = ?, lease_until = ? WHERE id = ?"),
                (delivery.attempt, delivery.fence, now + lease_ms, delivery.id),
            )
        return claimed

    def record(self, attempts: Sequence[Attempted]) -> int:
        """Record attempts that are still ours; return how many were."""
        return _attempted(
            self._connection,
            [
                (a.state, a.status, a.error, a.latency_ms, a.next_at, a.at if a.state == "delivered" else None,
                 a.delivery, a.fence)
                for a in attempts
            ],
        )  # fmt: skip

    def disable(self, endpoints: Sequence[str], reason: str, now: int) -> None:
        """Disable endpoints whose receiver said that it is gone."""
        for endpoint in endpoints:
            self._connection.exec_driver_sql(
                self._db.sql(
                    "UPDATE webhook_endpoints SET state = 'disabled', reason = ?, updated_at = ? WHERE id = ?"
                ),
                (reason, now, endpoint),
            )

    def due_at(self) -> int | None:
        """Return when the next pending delivery is due."""
        sql = (
            "SELECT min(d.next_at) FROM webhook_deliveries d JOIN webhook_endpoints p ON p.id = d.endpoint "
            "WHERE d.state = 'pending' AND p.state = 'active'"
        )
        found: int | None = self._connection.exec_driver_sql(sql).scalar()
        return found


def _save_endpoints(db: Database, connection: Connection, writes: Sequence[model.SaveEndpoint]) -> None:
    for w in writes:
        if w.fresh:
            _endpoint(connection, [(w.id, w.organization, w.project, w.url, w.secret or "", w.events, w.state,
                                    w.reason, w.created_by, w.at, w.at)])  # fmt: skip
            continue
        connection.exec_driver_sql(
            db.sql(
                "UPDATE webhook_endpoints SET project = ?, url = ?, secret = coalesce(?, secret), events = ?, "
                "state = ?, reason = ?, updated_at = ? WHERE id = ? AND organization = ?"
            ),
            (w.project, w.url, w.secret, w.events, w.state, w.reason, w.at, w.id, w.organization),
        )


WRITERS: dict[type[Write], Callable[[Database, Connection, Sequence[Any]], None]] = {
    model.SaveEndpoint: _save_endpoints
}
