"""What SecureGateway looks up for its decisions, and how custom policies and stops are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from metaqore.messages import Write
from metaqore.security import effects
from metaqore.security.ports import PolicyFile, Stop, StoredPolicy
from metaqore.store.bulk import BulkInsert, placeholders
from metaqore.store.connection import Connection
from metaqore.store.engine import Database
from metaqore.store.tables.security import policies, policy_files, stops

_policy = BulkInsert(policies, "organization project version digest document reason created_by request_id created_at")
_stop = BulkInsert(stops, "organization kind subject reason set_by request_id set_at")
_file = BulkInsert(policy_files, "organization file version digest before stamp state request_id created_at")
_FILES = (
    "SELECT version, digest, state, stamp FROM policy_files WHERE organization = ? AND file = ? AND ("
    "version = (SELECT max(version) FROM policy_files WHERE organization = ? AND file = ?) "
    "OR version = (SELECT max(version) FROM policy_files WHERE organization = ? AND file = ? AND state = 'loaded') "
    "OR (digest = ? AND stamp = ?)) ORDER BY version"
)
_STOPS = "SELECT organization, kind, subject, reason, set_by, set_at FROM stops"
#: One statement for what every decision asks: everything stopped, and which policies hold.
_STATE = (
    "SELECT 'stop', kind, subject, reason, set_by, set_at FROM stops WHERE organization = ? UNION ALL "
    "SELECT 'policy', p.project, p.digest, '', '', p.version FROM policies p WHERE p.organization = ? "
    "AND p.project IN (?, ?) AND p.version = (SELECT max(q.version) FROM policies q "
    "WHERE q.organization = p.organization AND q.project = p.project)"
)


_raise = (
    "INSERT INTO counters (organization, gate) VALUES (?, 1) "
    "ON CONFLICT (organization) DO UPDATE SET gate = counters.gate + 1"
)

State = tuple[list[Stop], list[StoredPolicy]]
#: What was looked up before, by organization and project, with the ``counters.gate`` that it was true for.
_shared: WeakKeyDictionary[Database, dict[tuple[str, str], tuple[int, State]]] = WeakKeyDictionary()
_MAX_SHARED = 10_000


class GateRows:
    """See ``metaqore.security.ports.GateReads``. What was looked up once holds for the transaction."""

    #: Organization → ``counters.gate``, where the transaction has asked for it already.
    gates: Mapping[str, int] = {}

    def __init__(self, database: Database, connection: Connection) -> None:
        self._db = database
        self._connection = connection
        self._known: dict[tuple[str, str], State] = {}

    def policies(self, organization: str, project: str | None) -> list[StoredPolicy]:
        """Return the present policies of an organization and of one of its projects, in that order."""
        return self._state(organization, project)[1]

    def stops(self, organization: str, project: str | None) -> list[Stop]:
        """Return everything that is stopped in an organization."""
        return self._state(organization, project)[0]

    def policy_document(self, organization: str, project: str, version: int) -> str:
        """Return the JSON text of one version of a policy."""
        sql = self._db.sql("SELECT document FROM policies WHERE organization = ? AND project = ? AND version = ?")
        return str(self._connection.exec_driver_sql(sql, (organization, project, version)).scalar_one())

    def policy_files(self, organization: str, file: str, digest: str, stamp: str) -> list[PolicyFile]:
        """Return what was recorded of a file: the last of all, the last that was loaded, and this very change."""
        values = (*(organization, file) * 3, digest, stamp)
        return [PolicyFile(*row) for row in self._connection.exec_driver_sql(self._db.sql(_FILES), values)]

    def _state(self, organization: str, project: str | None) -> State:
        wanted = (organization, project or "")
        gate = self.gates.get(organization)
        shared = _shared.setdefault(self._db, {})
        if gate is not None and wanted in shared and shared[wanted][0] == gate:
            return shared[wanted][1]
        found = self._known.get(wanted)
        if found is None:
            values = (organization, organization, "", wanted[1])
            rows = self._connection.exec_driver_sql(self._db.sql(_STATE), values).fetchall()
            found = (
                [Stop(organization, *row[1:]) for row in rows if row[0] == "stop"],
                [StoredPolicy(organization, row[1], row[5], row[2]) for row in sorted(rows) if row[0] == "policy"],
            )
            self._known[wanted] = found
        if gate is not None:
            if len(shared) >= _MAX_SHARED:
                shared.clear()
            shared[wanted] = (gate, found)
        return found

    def approved(
        self, organization: str, author: str, content_hash: str, subjects: Sequence[str], now: int
    ) -> set[str]:
        """Return those of ``subjects`` for which somebody approved exactly this content, and it still holds."""
        sql = (
            "SELECT subject FROM approvals WHERE subject_kind = 'payload' AND organization = ? AND author = ? "
            "AND content_hash = ? AND state = 'approved' AND expires_at > ? "
            f"AND subject IN ({placeholders(len(subjects))})"
        )
        values = (organization, author, content_hash, now, *subjects)
        return {row[0] for row in self._connection.exec_driver_sql(self._db.sql(sql), values)}


def all_stops(database: Database, connection: Connection) -> list[Stop]:
    """Return everything that is stopped in any organization."""
    return [Stop(*row) for row in connection.exec_driver_sql(database.sql(_STOPS))]


def _changed(db: Database, connection: Connection, writes: Sequence[Any]) -> None:
    """Let everybody who knows policies and stops look again."""
    for organization in sorted({w.organization for w in writes}):
        connection.exec_driver_sql(db.sql(_raise), (organization,))


def _save_policies(db: Database, connection: Connection, writes: Sequence[effects.SavePolicy]) -> None:
    _changed(db, connection, writes)
    _policy(
        connection,
        [
            (w.organization, w.project, w.version, w.digest, w.document, w.reason, w.created_by, w.request_id, w.at)
            for w in writes
        ],
    )


def _note_files(db: Database, connection: Connection, writes: Sequence[effects.NotePolicyFile]) -> None:
    _file(
        connection,
        [(w.organization, w.file, w.version, w.digest, w.before, w.stamp, w.state, w.request_id, w.at) for w in writes],
    )


def _lift_stops(db: Database, connection: Connection, writes: Sequence[effects.LiftStop]) -> None:
    _changed(db, connection, writes)
    sql = db.sql("DELETE FROM stops WHERE organization = ? AND kind = ? AND subject = ?")
    for w in writes:
        connection.exec_driver_sql(sql, (w.organization, w.kind, w.subject))


def _set_stops(db: Database, connection: Connection, writes: Sequence[effects.SetStop]) -> None:
    _changed(db, connection, writes)
    _stop(connection, [(w.organization, w.kind, w.subject, w.reason, w.set_by, w.request_id, w.at) for w in writes])


WRITERS: dict[type[Write], Callable[[Database, Connection, Sequence[Any]], None]] = {
    effects.SavePolicy: _save_policies,
    effects.NotePolicyFile: _note_files,
    effects.LiftStop: _lift_stops,
    effects.SetStop: _set_stops,
}
