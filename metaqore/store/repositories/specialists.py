"""What specialists were asked, and which of them are there to be asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Any

from metaqore.hmcp import effects as hmcp
from metaqore.hmcp.artefact import Artefact
from metaqore.llm import effects as llm
from metaqore.messages import Write
from metaqore.store.bulk import BulkInsert, BulkUpdate, placeholders
from metaqore.store.connection import Connection
from metaqore.store.engine import Database
from metaqore.store.rows import many, one
from metaqore.store.tables.hmcp import specialist_calls, specialists

_call = BulkInsert(
    specialist_calls,
    "id organization project request_id decision_id specialist kind agreed confidence saved_tokens at",
)
_move = BulkUpdate(specialists, "state", "id organization")


class SpecialistRows:
    """See ``metaqore.hmcp.ports.Shelf`` and ``metaqore.hmcp.review.ReviewReads``."""

    _db: Database
    _connection: Connection

    def on_duty(self, organizations: Collection[str]) -> list[dict[str, Any]]:
        """Return the active and proposed specialists of organizations, without what they are made of."""
        wanted = sorted(organizations)
        sql = (
            "SELECT s.id, s.organization, s.pattern, s.version, s.state, s.digest, s.created_at, "
            "coalesce(c.calls, 0) AS seen FROM specialists s "
            "LEFT JOIN specialist_counts c ON c.specialist = s.id AND c.kind = 'shadow' "
            f"WHERE s.organization IN ({placeholders(len(wanted))}) AND s.state IN ('active', 'proposed') ORDER BY s.id"
        )
        return many(self._db, self._connection, sql, wanted)

    def artefact(self, specialist: str) -> Artefact | None:
        """Return what is stored of a specialist; None where its weights are gone."""
        sql = "SELECT manifest, weights FROM specialists WHERE id = ?"
        row = one(self._db, self._connection, sql, (specialist,))
        if row is None or row["weights"] is None:
            return None
        return Artefact(row["manifest"].encode(), bytes(row["weights"]))

    def specialist_row(self, organization: str, specialist: str) -> dict[str, Any] | None:
        """Return a specialist without what it is made of, locked until the commit."""
        sql = "SELECT id, pattern, version, state, created_at FROM specialists WHERE id = ? AND organization = ?"
        return one(self._db, self._connection, sql + _lock(self._db, "UPDATE"), (specialist, organization))

    def live(self, pattern: str) -> list[dict[str, Any]]:
        """Return id, version and state of a pattern's specialists that are active or proposed."""
        sql = "SELECT id, version, state FROM specialists WHERE pattern = ? AND state IN ('active', 'proposed')"
        return many(self._db, self._connection, sql + " ORDER BY version", (pattern,))

    def comparisons(self, specialist: str, limit: int) -> list[bool]:
        """Return whether it disagreed with its teacher, for the latest calls where both answered, oldest first."""
        sql = (
            "SELECT agreed FROM specialist_calls WHERE specialist = ? AND kind IN ('audited', 'shadow') "
            "ORDER BY id DESC LIMIT ?"
        )
        rows = self._connection.exec_driver_sql(self._db.sql(sql), (specialist, limit)).fetchall()
        return [row[0] == 0 for row in reversed(rows)]


class ServingRows:
    """See ``metaqore.llm.handlers.CallReads``."""

    _db: Database
    _connection: Connection

    def serving(self, specialists: Collection[str]) -> set[str]:
        """Return which specialists may answer; none of them is retired before the commit."""
        wanted = sorted(specialists)
        sql = f"SELECT id FROM specialists WHERE id IN ({placeholders(len(wanted))}) AND state = 'active' ORDER BY id"
        rows = self._connection.exec_driver_sql(self._db.sql(sql + _lock(self._db, "SHARE")), tuple(wanted))
        return {row[0] for row in rows.fetchall()}


def _lock(db: Database, strength: str) -> str:
    # SQLite has one writer, so that nothing changes under a write transaction.
    return "" if db.is_sqlite else f" FOR {strength}"


def _new_calls(db: Database, connection: Connection, writes: Sequence[llm.SpecialistCall]) -> None:
    _call(
        connection,
        [
            (w.id, w.organization, w.project, w.request_id, w.decision_id, w.specialist, w.kind,
             None if w.agreed is None else int(w.agreed), w.confidence, w.saved_tokens, w.at)
            for w in writes
        ],
    )  # fmt: skip
    counted: dict[tuple[str, str], list[llm.SpecialistCall]] = defaultdict(list)
    for w in writes:
        counted[w.specialist, w.kind].append(w)
    sql = db.sql(
        "INSERT INTO specialist_counts (specialist, kind, organization, calls, agreed, saved_tokens, last_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (specialist, kind) DO UPDATE SET "
        "calls = specialist_counts.calls + excluded.calls, agreed = specialist_counts.agreed + excluded.agreed, "
        "saved_tokens = specialist_counts.saved_tokens + excluded.saved_tokens, last_at = excluded.last_at"
    )
    # In one order, so that two workers never wait for each other.
    for (specialist, kind), those in sorted(counted.items()):
        agreed, saved = sum(w.agreed is True for w in those), sum(w.saved_tokens for w in those)
        connection.exec_driver_sql(
            sql, (specialist, kind, those[0].organization, len(those), agreed, saved, those[-1].at)
        )


def _move_specialists(_db: Database, connection: Connection, writes: Sequence[hmcp.MoveSpecialist]) -> None:
    for w in writes:
        _move(connection, [(w.state, w.id, w.organization)])


WRITERS: dict[type[Write], Callable[[Database, Connection, Sequence[Any]], None]] = {
    llm.SpecialistCall: _new_calls,
    hmcp.MoveSpecialist: _move_specialists,
}
