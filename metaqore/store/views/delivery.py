"""Look-ups of events, webhook endpoints and deliveries."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from metaqore.delivery.model import wants
from metaqore.store.views.lookup import Lookup, Page, Row

_ENDPOINT = "id, project, url, events, state, reason, created_by, created_at, updated_at"
_DELIVERY = (
    "id, endpoint, event_id, event_seq, state, attempt, next_at, last_status, last_error, latency_ms, created_at, "
    "delivered_at"
)
_EVENT = "seq, id, project, type, subject, request_id, data, created_at"
#: How many events are looked through for one answer, so that a narrow filter cannot hold a connection.
_SCAN = 2000


class DeliveryViews(Lookup):
    """Look-ups of what goes out."""

    def endpoint(self, organization: str, endpoint: str) -> Row | None:
        """Return one endpoint, without its secret."""
        sql = f"SELECT {_ENDPOINT} FROM webhook_endpoints WHERE id = ? AND organization = ?"
        row = self.row(sql, (endpoint, organization))
        return None if row is None else {**row, "events": msgspec.json.decode(row["events"])}

    def endpoints(self, organization: str, *, after: str | None, limit: int) -> Page:
        """Return endpoints in the order of their creation, without secrets."""
        where = {"organization": organization}
        found = self.page(_ENDPOINT, "webhook_endpoints", where, key="id", after=after, limit=limit)
        return Page([{**row, "events": msgspec.json.decode(row["events"])} for row in found.items], found.last)

    def delivery(self, organization: str, delivery: str) -> Row | None:
        """Return one delivery."""
        sql = f"SELECT {_DELIVERY} FROM webhook_deliveries WHERE id = ? AND organization = ?"
        return self.row(sql, (delivery, organization))

    def deliveries(
        self, organization: str, endpoint: str, *, state: str | None, after: str | None, limit: int
    ) -> Page:  # fmt: skip
        """Return the deliveries of an endpoint, the newest first."""
        where = {"endpoint": endpoint, "organization": organization, "state": state}
        return self.page(
            _DELIVERY, "webhook_deliveries", where, key="id", after=after, limit=limit, descending=True
        )  # fmt: skip

    def last_event(self, organization: str) -> int:
        """Return the sequence number of the newest event; 0 where there is none."""
        row = self.row("SELECT max(seq) AS seq FROM events WHERE organization = ?", (organization,))
        return int(row["seq"] or 0) if row else 0

    def events(
        self, organization: str, *, after: int, project: str | None, types: Sequence[str], limit: int
    ) -> tuple[list[Row], int, bool]:
        """Return events with a number above ``after``, in order; up to which number was looked; if there may be more.

        Args:
            types: patterns: ``*``, ``artifact.*`` or an exact type; none means all.
        """
        asked = limit if not (project or types) else _SCAN
        rows = self.rows(
            f"SELECT {_EVENT} FROM events WHERE organization = ? AND seq > ? ORDER BY seq LIMIT ?",
            (organization, after, asked),
        )
        found: list[Row] = []
        seen = after
        for row in rows:
            seen = row["seq"]
            if project in (None, row["project"]) and (not types or any(wants(t, row["type"]) for t in types)):
                found.append({**row, "data": msgspec.json.decode(row["data"])})
                if len(found) == limit:
                    break
        return found, seen, len(rows) == asked or len(found) == limit
