"""Events, endpoints and deliveries: what is appended, claimed, recorded and changed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from metaqore.audit.entry import in_spans
from metaqore.delivery import model
from metaqore.delivery.model import Attempted, Delivery, Endpoint
from metaqore.ids import new_id
from metaqore.messages import Write
from metaqore.store.bulk import BulkInsert, BulkUpdate, placeholders
from metaqore.store.connection import Connection
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
    webhook_endpoints,
    "id organization project url secret events state reason created_by created_at updated_at",
)
_ENDPOINT = "p.id, p.organization, p.project, p.url, p.secret, p.previous_secret, p.previous_until, p.events, p.state"
#: Of the artifact that an event, or the proposal in it, is about, as it is now; null where it is about none.
_LABEL = (
    "(SELECT a.label FROM artifacts a WHERE a.organization = e.organization AND (a.id = e.subject "
    "OR a.id = (SELECT o.artifact FROM proposals o WHERE o.organization = e.organization AND o.id = e.subject)))"
)
_FREE = "(lease_until IS NULL OR lease_until <= ?)"
_DUE = f"state = 'pending' AND next_at <= ? AND {_FREE}"


class _About(msgspec.Struct):
    events: str | None = None


class _Entry(msgspec.Struct):
    about: _About


_about = msgspec.json.Decoder(_Entry).decode
#: Key of the advisory lock under which PostgreSQL's workers claim.
_CLAIM_LOCK = 5060743


def append_events(db: Database, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> int:
    """Append events and, in the same transaction, a delivery for every endpoint that wants one.

    Args:
        rows: (organization, seq, id, project, type, subject, request id, data, created_at).
    """
    _event(connection, rows)
    endpoints = _active(db, connection, sorted({row[0] for row in rows}))
    deliveries = [
        (new_id("del"), row[0], endpoint.id, row[2], row[1], "pending", row[8], row[8])
        for row in rows
        for endpoint in endpoints.get(row[0], ())
        if endpoint.receives(row[4], row[5], row[3])
    ]
    _delivery(connection, deliveries)
    return len(deliveries)


def _active(db: Database, connection: Connection, organizations: Sequence[str]) -> Mapping[str, list[Endpoint]]:
    found: defaultdict[str, list[Endpoint]] = defaultdict(list)
    rows = connection.exec_driver_sql(
        db.sql(
            f"SELECT {_ENDPOINT} FROM webhook_endpoints p "
            f"WHERE p.state = 'active' AND p.organization IN ({placeholders(len(organizations))})"
        ),
        tuple(organizations),
    ).fetchall()
    for row in rows:
        found[row[1]].append(_endpoint_of(row))
    return found


def _endpoint_of(row: Sequence[Any]) -> Endpoint:
    return Endpoint(
        id=row[0], organization=row[1], project=row[2], url=row[3], secret=row[4], previous_secret=row[5],
        previous_until=row[6], events=msgspec.json.decode(row[7]), state=row[8],
    )  # fmt: skip


class DeliveryRows:
    """See ``metaqore.delivery.ports.DeliveryRows``."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self._db = database
        self._connection = connection

    def _all(self, sql: str, *values: Any) -> Sequence[Any]:
        return self._connection.exec_driver_sql(self._db.sql(sql), values).fetchall()

    def endpoint_row(self, organization: str, endpoint: str) -> Mapping[str, Any] | None:
        """Return a whole endpoint, its secrets too.

        On PostgreSQL the row is locked until the transaction ends, so that of two changes neither is lost.
        """
        lock = "" if self._db.is_sqlite else " FOR UPDATE"
        sql = f"SELECT * FROM webhook_endpoints WHERE id = ? AND organization = ?{lock}"
        return one(self._db, self._connection, sql, (endpoint, organization))

    def endpoint_count(self, organization: str) -> int:
        """Return how many endpoints there are."""
        sql = "SELECT count(*) FROM webhook_endpoints WHERE organization = ?"
        return int(self._all(sql, organization)[0][0])

    def project_exists(self, organization: str, project: str) -> bool:
        """True where the project is one of the organization's."""
        return bool(self._all("SELECT 1 FROM projects WHERE id = ? AND organization = ?", project, organization))

    def endpoint_of(self, organization: str, delivery: str) -> str | None:
        """Return the endpoint that a delivery is for, while both exist."""
        rows = self._all(
            "SELECT p.id FROM webhook_deliveries d JOIN webhook_endpoints p ON p.id = d.endpoint "
            "WHERE d.id = ? AND d.organization = ?",
            delivery, organization,
        )  # fmt: skip
        return rows[0][0] if rows else None

    def replayable(
        self, endpoint: str, organization: str, states: Sequence[str], *, since: int, until: int, limit: int
    ) -> list[str]:
        """Return ids of an endpoint's deliveries made in [since, until), the oldest first."""
        rows = self._all(
            "SELECT id FROM webhook_deliveries WHERE endpoint = ? AND organization = ? "
            f"AND state IN ({placeholders(len(states))}) AND created_at >= ? AND created_at < ? ORDER BY id LIMIT ?",
            endpoint, organization, *states, since, until, limit,
        )  # fmt: skip
        return [row[0] for row in rows]

    def due(self, now: int) -> int:
        """Return how many endpoints have something that could be sent now."""
        return int(
            self._all(
                "SELECT count(*) FROM webhook_endpoints p WHERE p.state = 'active' AND p.not_before <= ? AND EXISTS "
                f"(SELECT 1 FROM webhook_deliveries q WHERE q.endpoint = p.id AND {_DUE})",
                now, now, now,
            )[0][0]
        )  # fmt: skip

    def claim(self, now: int, *, lease_ms: int, limit: int, per_endpoint: int, per_organization: int) -> list[Delivery]:
        """Claim deliveries that are due under a lease, with attempt and fence raised, the longest due first.

        Args:
            per_endpoint: how many may be on their way to one endpoint at once, whoever claimed them.
            per_organization: the same for all endpoints of an organization.
        """
        if not self._db.is_sqlite:
            # Two workers that count at once would each claim up to the limit.
            self._all("SELECT pg_advisory_xact_lock(?)", _CLAIM_LOCK)
        to_endpoint, to_organization = self._in_flight(now)
        chosen: list[str] = []
        for delivery, endpoint, organization in self._candidates(now, per_endpoint):
            free = to_endpoint[endpoint] < per_endpoint and to_organization[organization] < per_organization
            if free and len(chosen) < limit:
                chosen.append(delivery)
                to_endpoint[endpoint] += 1
                to_organization[organization] += 1
        return self._lease(chosen, now, now + lease_ms) if chosen else []

    def _in_flight(self, now: int) -> tuple[Counter[str], Counter[str]]:
        to_endpoint: Counter[str] = Counter()
        to_organization: Counter[str] = Counter()
        for endpoint, organization, n in self._all(
            "SELECT endpoint, organization, count(*) FROM webhook_deliveries "
            "WHERE lease_until > ? AND state = 'pending' GROUP BY endpoint, organization",
            now,
        ):
            to_endpoint[endpoint] += n
            to_organization[organization] += n
        return to_endpoint, to_organization

    def _candidates(self, now: int, per_endpoint: int) -> Sequence[Any]:
        return self._all(
            "SELECT d.id, d.endpoint, d.organization FROM webhook_endpoints p JOIN webhook_deliveries d "
            "ON d.id IN (SELECT q.id FROM webhook_deliveries q "
            f"WHERE q.endpoint = p.id AND {_DUE} ORDER BY q.next_at, q.id LIMIT ?) "
            "WHERE p.state = 'active' AND p.not_before <= ? ORDER BY d.next_at, d.id",
            now, now, per_endpoint, now,
        )  # fmt: skip

    def _lease(self, ids: Sequence[str], now: int, until: int) -> list[Delivery]:
        """Raise attempt and fence of those that are still free, and load them."""
        leased = self._all(
            "UPDATE webhook_deliveries SET attempt = attempt + 1, fence = fence + 1, lease_until = ? "
            f"WHERE id IN ({placeholders(len(ids))}) AND state = 'pending' AND {_FREE} RETURNING id",
            until, *ids, now,
        )  # fmt: skip
        rows = self._all(
            f"SELECT {_ENDPOINT}, d.id, d.event_id, d.event_seq, e.type, e.subject, e.project, e.request_id, e.data, "
            f"e.created_at, d.attempt, d.fence, {_LABEL} FROM webhook_deliveries d "
            "JOIN webhook_endpoints p ON p.id = d.endpoint "
            "JOIN events e ON e.organization = d.organization AND e.seq = d.event_seq "
            f"WHERE d.id IN ({placeholders(len(leased))}) ORDER BY d.next_at, d.id",
            *(row[0] for row in leased),
        )
        recorded = self._recorded(rows)
        return [
            Delivery(
                id=r[9], organization=r[1], endpoint=_endpoint_of(r), event_id=r[10], event_seq=r[11],
                event_type=r[12], subject=r[13], project=r[14], request_id=r[15], data=r[16], created_at=r[17],
                attempt=r[18], fence=r[19], label=r[20], **recorded.get((r[1], r[11]), {}),
            )
            for r in rows
        ]  # fmt: skip

    def _recorded(self, rows: Sequence[Any]) -> dict[tuple[str, int], dict[str, Any]]:
        """Return (organization, event number) → the entry that speaks of it, and the first checkpoint over that."""
        requests = sorted({(r[1], r[15]) for r in rows})
        if not requests:
            return {}
        entries = self._all(
            "SELECT a.organization, a.request_id, a.seq, a.leaf_hash, a.body, (SELECT k.note FROM audit_checkpoints k "
            "WHERE k.organization = a.organization AND k.size >= a.seq ORDER BY k.size LIMIT 1) FROM audit_entries a "
            f"WHERE a.tag NOT LIKE 'delivery:%' AND (a.organization, a.request_id) IN "
            f"(VALUES {', '.join(['(?, ?)'] * len(requests))})",
            *(part for pair in requests for part in pair),
        )
        spoken = [(row, _about(bytes(row[4])).about.events) for row in entries]
        return {
            (r[1], r[11]): {"audit_seq": row[2], "leaf_hash": bytes(row[3]).hex(), "checkpoint": row[5]}
            for r in rows
            for row, events in spoken
            if events is not None and (row[0], row[1]) == (r[1], r[15]) and in_spans(r[11], events)
        }

    def record(self, attempts: Sequence[Attempted]) -> set[str]:
        """Record attempts whose fence is still the present one; return the ids of their deliveries."""
        if not attempts:
            return set()
        lock = "" if self._db.is_sqlite else " FOR UPDATE"
        rows = self._all(
            f"SELECT id, fence FROM webhook_deliveries WHERE state = 'pending' "
            f"AND id IN ({placeholders(len(attempts))}){lock}",
            *(a.delivery for a in attempts),
        )
        fences = dict(row[:2] for row in rows)
        mine = [a for a in attempts if fences.get(a.delivery) == a.fence]
        _attempted(
            self._connection,
            [
                (a.state, a.status, a.error, a.latency_ms, a.next_at, a.at if a.state == "delivered" else None,
                 a.delivery, a.fence)
                for a in mine
            ],
        )  # fmt: skip
        return {a.delivery for a in mine}

    def disable(self, endpoint: Endpoint, reason: str, now: int) -> bool:
        """Disable an endpoint; False where it was disabled or given another URL meanwhile."""
        changed = self._connection.exec_driver_sql(
            self._db.sql(
                "UPDATE webhook_endpoints SET state = 'disabled', reason = ?, updated_at = ? "
                "WHERE id = ? AND state = 'active' AND url = ?"
            ),
            (reason, now, endpoint.id, endpoint.url),
        )
        return changed.rowcount == 1

    def pause(self, endpoint: Endpoint, until: int) -> None:
        """Send nothing to an endpoint before ``until``."""
        self._connection.exec_driver_sql(
            self._db.sql("UPDATE webhook_endpoints SET not_before = ? WHERE id = ? AND not_before < ? AND url = ?"),
            (until, endpoint.id, until, endpoint.url),
        )


def _save_endpoints(db: Database, connection: Connection, writes: Sequence[model.SaveEndpoint]) -> None:
    for w in writes:
        if w.fresh:
            _endpoint(connection, [(w.id, w.organization, w.project, w.url, w.secret, w.events, w.state, w.reason,
                                    w.created_by, w.at, w.at)])  # fmt: skip
            continue
        connection.exec_driver_sql(
            db.sql(
                "UPDATE webhook_endpoints SET project = ?, url = ?, secret = ?, previous_secret = ?, "
                "previous_until = ?, events = ?, state = ?, reason = ?, not_before = 0, updated_at = ? "
                "WHERE id = ? AND organization = ?"
            ),
            (w.project, w.url, w.secret, w.previous_secret, w.previous_until, w.events, w.state, w.reason, w.at,
             w.id, w.organization),
        )  # fmt: skip


def _delete_endpoints(db: Database, connection: Connection, writes: Sequence[model.DeleteEndpoint]) -> None:
    for w in writes:
        connection.exec_driver_sql(
            db.sql("DELETE FROM webhook_endpoints WHERE id = ? AND organization = ?"), (w.id, w.organization)
        )
        connection.exec_driver_sql(
            db.sql(
                "UPDATE webhook_deliveries SET state = 'dead', fence = fence + 1, lease_until = NULL, "
                "last_error = 'deleted: the endpoint was deleted' WHERE endpoint = ? AND state = 'pending'"
            ),
            (w.id,),
        )


def _replay(db: Database, connection: Connection, writes: Sequence[model.ReplayDeliveries]) -> None:
    for w in writes:
        # One that is on its way now is left alone: it is being sent as asked.
        connection.exec_driver_sql(
            db.sql(
                "UPDATE webhook_deliveries SET state = 'pending', attempt = 0, fence = fence + 1, next_at = ?, "
                f"lease_until = NULL, delivered_at = NULL WHERE id IN ({placeholders(len(w.ids))}) "
                f"AND organization = ? AND {_FREE}"
            ),
            (w.at, *w.ids, w.organization, w.at),
        )


WRITERS: dict[type[Write], Callable[[Database, Connection, Sequence[Any]], None]] = {
    model.SaveEndpoint: _save_endpoints,
    model.DeleteEndpoint: _delete_endpoints,
    model.ReplayDeliveries: _replay,
}
