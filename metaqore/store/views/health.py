"""What the probes and the metrics ask of the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metaqore.store import migrate
from metaqore.store.tenant import EVERYONE, on_behalf_of
from metaqore.store.views.lookup import Lookup, Row


class HealthViews(Lookup):
    """Look-ups over all organizations: numbers only."""

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of a statement, on behalf of everyone."""
        with on_behalf_of(EVERYONE):
            return super().rows(sql, values)

    def database(self) -> dict[str, Any]:
        """Return the database's version and schema revision, whether the revision is this release's, ``why`` if not.

        Raises:
            Unavailable: it cannot be reached.
        """
        current = migrate.current(self._db)
        head = migrate.head()
        found = {"version": self._db.version(), "revision": current, "expected_revision": head, "ok": current == head}
        why = migrate.mismatch(current)
        if why is not None:
            found["why"] = why
        return found

    def open_requests(self) -> dict[tuple[str, str], tuple[int, int | None]]:
        """Return (queue, state) → (how many, when the oldest was accepted) of what is not finished."""
        rows = self.rows(
            "SELECT queue, state, count(*) AS n, min(created_at) AS oldest FROM requests "
            "WHERE state IN ('accepted', 'running') GROUP BY queue, state"
        )
        return {(row["queue"], row["state"]): (row["n"], row["oldest"]) for row in rows}

    def sinks(self) -> list[Row]:
        """Return (organization, name, entries not taken, when the oldest of them was recorded or None) of all sinks."""
        return self.rows(
            "SELECT s.organization, s.name, s.failures, c.audit_seq - s.cursor AS lag, (SELECT e.ts_ms FROM "
            "audit_entries e WHERE e.organization = s.organization AND e.seq = s.cursor + 1) AS oldest "
            "FROM audit_sinks s JOIN counters c ON c.organization = s.organization ORDER BY s.organization, s.name"
        )

    def specialists(self) -> list[Row]:
        """Return (organization, specialist, kind, calls, agreed, saved tokens) of all that are active or proposed."""
        return self.rows(
            "SELECT c.organization, c.specialist, c.kind, c.calls, c.agreed, c.saved_tokens FROM specialist_counts c "
            "JOIN specialists s ON s.id = c.specialist AND s.state IN ('active', 'proposed') "
            "ORDER BY c.organization, c.specialist, c.kind"
        )

    def counts(self) -> Mapping[str, int]:
        """Return how many rows there are: the cheap ones, from keys and counters alone."""
        row = self.rows(
            "SELECT (SELECT coalesce(max(seq), 0) FROM requests) AS requests_accepted, "
            "(SELECT coalesce(sum(audit_seq), 0) FROM counters) AS audit_entries, "
            "(SELECT coalesce(sum(event_seq), 0) FROM counters) AS events, "
            "(SELECT count(*) FROM webhook_deliveries WHERE state = 'pending') AS deliveries_pending"
        )[0]
        return {name: int(value) for name, value in row.items()}
