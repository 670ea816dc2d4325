"""What there is of a data subject, and how it goes. See ``metaqore.audit.privacy``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from metaqore.audit import privacy
from metaqore.audit.reconcile import ERASED
from metaqore.messages import Write
from metaqore.store.connection import Connection
from metaqore.store.engine import Database
from metaqore.store.rows import many, one

_GONE = '{"erased":true}'
_NO_INTENT = '{"reads":[],"writes":[],"claims":{"paths":[],"resources":[]}}'
_OPEN = "state IN ('accepted', 'running')"
#: The requests of a subject; takes (organization, subject).
_ITS = "(SELECT id FROM requests WHERE organization = ? AND coalesce(subject, principal) = ?)"
_VERSIONS = f"SELECT artifact FROM artifact_versions WHERE request_id IN {_ITS}"
_CONFLICTS = f"SELECT id FROM conflicts WHERE request_id IN {_ITS}"

#: What is counted before it goes: name → (table, condition).
_BELONGINGS = {
    "requests": ("requests", f"id IN {_ITS}"),
    "versions": ("artifact_versions", f"request_id IN {_ITS}"),
    "calls": ("llm_calls", f"request_id IN {_ITS}"),
    "specialist_calls": ("specialist_calls", f"request_id IN {_ITS}"),
    "proposals": ("proposals", f"request_id IN {_ITS}"),
    "conflicts": ("conflicts", f"request_id IN {_ITS}"),
    "intents": ("intents", f"request_id IN {_ITS}"),
}

#: What becomes of everything that the subject's requests brought in, in this order. A new place for content gets a
#: line here; the test that looks for a planted text in the files of the database tells when one is missing.
_OF_REQUESTS = (
    f"UPDATE artifact_versions SET content = 'null', content_hash = 'erased', "
    f"body = '{{\"depends_on\":[],\"requires\":{{}},\"claims\":[],\"metadata\":{{}}}}' WHERE request_id IN {_ITS}",
    f"DELETE FROM field_managers WHERE artifact IN ({_VERSIONS})",
    f"UPDATE record_history SET document = '{{}}' WHERE document IS NOT NULL AND subject IN ({_CONFLICTS})",
    f"UPDATE conflicts SET evidence = '{{\"message\":\"erased\"}}', state = CASE WHEN state = 'open' THEN 'resolved' "
    f"ELSE state END WHERE request_id IN {_ITS}",
    f"UPDATE proposals SET state = 'withdrawn' WHERE state = 'blocked' AND request_id IN {_ITS}",
    f"DELETE FROM claims WHERE holder IN (SELECT id FROM intents WHERE request_id IN {_ITS})",
    f"UPDATE intents SET purpose = '', state = 'withdrawn', body = '{_NO_INTENT}', remaining = '[]' "
    f"WHERE request_id IN {_ITS}",
    f"UPDATE llm_calls SET command = '{{}}', redacted = NULL, response = NULL, error = NULL, prefix_hash = '', "
    f"state = CASE WHEN state = 'prepared' THEN 'failed' ELSE state END, trainable = 0 WHERE request_id IN {_ITS}",
)  # fmt: skip
#: What a principal wrote elsewhere than in requests' payloads; takes (organization, subject).
_OF_PRINCIPALS = (
    "UPDATE tasks SET title = 'erased', metadata = '{}' WHERE organization = ? AND created_by = ?",
    "UPDATE record_history SET document = '{}' WHERE kind = 'task' AND subject IN "
    "(SELECT id FROM tasks WHERE organization = ? AND created_by = ?)",
    "UPDATE record_history SET document = '{}' WHERE kind = 'project' AND subject IN "
    "(SELECT id FROM projects WHERE organization = ? AND created_by = ?)",
    "UPDATE checkpoints SET note = '' WHERE organization = ? AND created_by = ?",
    "UPDATE approvals SET reason = '', answer = NULL WHERE organization = ? AND requested_by = ?",
    "UPDATE projects SET description = '', metadata = '{}' WHERE organization = ? AND created_by = ?",
    "UPDATE stops SET reason = '' WHERE organization = ? AND set_by = ?",
    "UPDATE policies SET reason = '' WHERE organization = ? AND created_by = ?",
    "UPDATE legal_holds SET reason = '' WHERE released_at IS NOT NULL AND organization = ? AND placed_by = ?",
    "DELETE FROM idempotency WHERE organization = ? AND principal = ?",
)


class PrivacyRows:
    """See ``metaqore.audit.privacy.PrivacyReads``."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self._db = database
        self._connection = connection

    def _all(self, sql: str, *values: Any) -> Sequence[Any]:
        return self._connection.exec_driver_sql(self._db.sql(sql), values).fetchall()

    def key_of(self, organization: str, subject: str) -> str | None:
        """Return the id of a subject's key."""
        rows = self._all("SELECT id FROM subject_keys WHERE organization = ? AND subject = ?", organization, subject)
        return rows[0][0] if rows else None

    def subject_of(self, organization: str, key: str) -> str | None:
        """Return whose key it is; on PostgreSQL nobody seals with it until the commit."""
        lock = "" if self._db.is_sqlite else " FOR UPDATE"
        rows = self._all(f"SELECT subject FROM subject_keys WHERE organization = ? AND id = ?{lock}", organization, key)
        return rows[0][0] if rows else None

    def holds_on(self, organization: str, subject: str | None) -> list[str]:
        """Return the holds in force on a subject, or on all of the organization."""
        rows = self._all(
            "SELECT id FROM legal_holds WHERE organization = ? AND released_at IS NULL "
            "AND (subject IS NULL OR subject = ?) ORDER BY id",
            organization, subject,
        )  # fmt: skip
        return [row[0] for row in rows]

    def hold(self, organization: str, hold: str) -> Mapping[str, Any] | None:
        """Return a hold that was not released."""
        sql = "SELECT * FROM legal_holds WHERE organization = ? AND id = ? AND released_at IS NULL"
        return one(self._db, self._connection, sql, (organization, hold))

    def holds(self, organization: str) -> list[dict[str, Any]]:
        """Return all holds in force."""
        sql = "SELECT * FROM legal_holds WHERE organization = ? AND released_at IS NULL ORDER BY id"
        return many(self._db, self._connection, sql, (organization,))

    def open_requests(self, organization: str, subject: str) -> list[str]:
        """Return the subject's requests that are not finished."""
        sql = f"SELECT id FROM requests WHERE organization = ? AND coalesce(subject, principal) = ? AND {_OPEN} "
        return [row[0] for row in self._all(sql + "AND queue <> 'control' ORDER BY seq", organization, subject)]

    def request_ids(self, organization: str, subject: str) -> list[str]:
        """Return all requests of a subject."""
        sql = "SELECT id FROM requests WHERE organization = ? AND coalesce(subject, principal) = ? ORDER BY seq"
        return [row[0] for row in self._all(sql, organization, subject)]

    def belongings(self, organization: str, subject: str) -> dict[str, int]:
        """Return what there is of a subject: what → how many."""
        found = {
            name: int(self._all(f"SELECT count(*) FROM {table} WHERE {where}", organization, subject)[0][0])
            for name, (table, where) in _BELONGINGS.items()
        }
        return {name: count for name, count in found.items() if count}

    def pupils(self, organization: str, subject: str) -> list[str]:
        """Return the specialists, active or proposed, that may have been trained on the subject's model calls."""
        sql = (
            "SELECT id FROM specialists WHERE organization = ? AND state IN ('active', 'proposed') AND created_at >= "
            f"(SELECT min(prepared_at) FROM llm_calls WHERE request_id IN {_ITS}) ORDER BY id"
        )
        return [row[0] for row in self._all(sql, organization, organization, subject)]

    def erasure(self, organization: str, erasure: str) -> Mapping[str, Any] | None:
        """Return an erasure."""
        sql = "SELECT * FROM erasures WHERE organization = ? AND id = ?"
        return one(self._db, self._connection, sql, (organization, erasure))

    def uncleaned(self) -> list[dict[str, Any]]:
        """Return the erasures of all organizations that have not reached broker and files, the oldest first."""
        sql = "SELECT * FROM erasures WHERE results_at IS NULL OR files_at IS NULL ORDER BY id"
        return many(self._db, self._connection, sql, ())

    def expired(self, organization: str, data_class: str, before: int) -> int:
        """Return how much of a class would expire."""
        table, where = _expired(data_class)
        return int(self._all(f"SELECT count(*) FROM {table} WHERE {where}", organization, before, organization)[0][0])

    def retention(self, organization: str) -> Mapping[str, int]:
        """Return class → days, where the organization has chosen."""
        rows = self._all("SELECT class, days FROM retention WHERE organization = ?", organization)
        return {row[0]: row[1] for row in rows}

    def organizations(self) -> list[str]:
        """Return everybody who has a log."""
        return [row[0] for row in self._all("SELECT organization FROM counters ORDER BY organization")]


def _expired(data_class: str) -> tuple[str, str]:
    """Return table and condition of what expires; takes (organization, before, organization)."""
    held = (
        "SELECT id FROM requests r JOIN legal_holds h ON h.organization = r.organization AND h.released_at IS NULL "
        "AND h.subject = coalesce(r.subject, r.principal) WHERE r.organization = ?"
    )
    held = held.replace("SELECT id", "SELECT r.id")
    if data_class == "calls":
        return "llm_calls", (
            f"organization = ? AND settled_at < ? AND command <> '{{}}' AND request_id NOT IN ({held})"
        )
    return "requests", f"organization = ? AND finished_at < ? AND payload <> '{ERASED}' AND id NOT IN ({held})"


def _erase(db: Database, connection: Connection, writes: Sequence[privacy.EraseSubject]) -> None:
    for w in writes:
        owner = (w.organization, w.subject)
        _overwriting(connection)

        def run(sql: str, *values: Any) -> None:
            connection.exec_driver_sql(db.sql(sql), values)

        _forget_lessons(db, connection, owner)
        _forget_circumstances(db, connection, owner)
        _forget_replays(db, connection, owner)
        for sql in _OF_REQUESTS:
            run(sql, *owner)
        for sql in _OF_PRINCIPALS:
            run(sql, *owner)
        run(
            "UPDATE artifacts SET content_hash = 'erased' WHERE organization = ? AND EXISTS (SELECT 1 FROM "
            "artifact_versions v WHERE v.artifact = artifacts.id AND v.version = artifacts.head "
            "AND v.content_hash = 'erased')",
            w.organization,
        )
        # An artifact that says nothing any more holds nothing either.
        for table, column in (("claims", "holder"), ("artifact_requirements", "artifact")):
            gone = "SELECT id FROM artifacts WHERE organization = ? AND content_hash = 'erased'"
            run(f"DELETE FROM {table} WHERE {column} IN ({gone})", w.organization)
        run(
            "UPDATE requests SET state = 'cancelled', fence = fence + 1, finished_at = ?, lease_owner = NULL, "
            f"lease_until = NULL WHERE {_OPEN} AND queue <> 'control' AND id IN {_ITS}",
            w.at, *owner,
        )  # fmt: skip
        run(
            f"UPDATE requests SET payload = '{ERASED}', "
            f"result = CASE WHEN result IS NULL THEN NULL ELSE '{_GONE}' END, "
            'error = CASE WHEN error IS NULL THEN NULL ELSE \'{"code":"erased","message":"erased"}\' END '
            f"WHERE id IN {_ITS}",
            *owner,
        )
        run("DELETE FROM subject_keys WHERE id = ?", w.key)
        run(
            "INSERT INTO erasures (id, organization, subject, subject_key, basis, requested_by, erased_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            w.id, w.organization, w.subject, w.key, w.basis, w.requested_by, w.at,
        )  # fmt: skip


def _overwriting(connection: Connection) -> None:
    """Have SQLite overwrite what this connection deletes from now on; PostgreSQL has nothing like it."""
    if connection.is_sqlite:
        connection.exec_driver_sql("PRAGMA secure_delete = ON").fetchall()


def _note_cleaned(db: Database, connection: Connection, writes: Sequence[privacy.NoteCleaned]) -> None:
    for w in writes:
        column = "results_at" if w.what == "results" else "files_at"
        sql = db.sql(f"UPDATE erasures SET {column} = ? WHERE id = ? AND organization = ?")
        connection.exec_driver_sql(sql, (w.at, w.erasure, w.organization))


def _forget_lessons(db: Database, connection: Connection, owner: tuple[str, str]) -> None:
    """Retire every specialist, and forget every pattern, that may have been made from the subject's model calls.

    What exactly a specialist was trained on is in its manifest as hashes only, so all that were trained since the first
    such call go; discovery finds the patterns again in what is left.
    """
    sql = f"SELECT min(prepared_at) FROM llm_calls WHERE request_id IN {_ITS}"
    since = connection.exec_driver_sql(db.sql(sql), owner).scalar()
    if since is None:
        return
    connection.exec_driver_sql(
        db.sql(
            "UPDATE specialists SET state = CASE WHEN state IN ('active', 'proposed') THEN 'retired' ELSE state END, "
            "weights = NULL, manifest = '{}', gate = '{}', digest = NULL WHERE organization = ? AND created_at >= ?"
        ),
        (owner[0], since),
    )
    connection.exec_driver_sql(
        db.sql("DELETE FROM patterns WHERE organization = ? AND updated_at >= ?"), (owner[0], since)
    )


def _forget_circumstances(db: Database, connection: Connection, owner: tuple[str, str]) -> None:
    """Take out of the decisions about a subject's payloads what came with them: names given, and where findings were.

    What was decided, by which rules and why, stays: those are our own words.
    """
    sql = f"SELECT id, body FROM decisions WHERE request_id IN {_ITS}"
    changed = []
    for key, text in connection.exec_driver_sql(db.sql(sql), owner).fetchall():
        body = json.loads(text)
        asked = body.get("asked", {})
        body["asked"] = asked | {name: "erased" for name in ("agent", "task_type") if asked.get(name)}
        for found in (*body.get("findings", ()), *body.get("threats", ())):
            if "pointer" in found:
                found["pointer"] = "/erased"
        changed.append((json.dumps(body, ensure_ascii=False, separators=(",", ":")), key))
    if changed:
        connection.exec_driver_sql(db.sql("UPDATE decisions SET body = ? WHERE id = ?"), changed)


def _forget_replays(db: Database, connection: Connection, owner: tuple[str, str]) -> None:
    """Delete the idempotency keys of the subject's requests: their fingerprints are hashes of what was sent."""
    ids = {row[0] for row in connection.exec_driver_sql(db.sql(_ITS[1:-1]), owner).fetchall()}
    sql = "SELECT principal, route, key, requests FROM idempotency WHERE organization = ?"
    for principal, route, key, requests in connection.exec_driver_sql(db.sql(sql), owner[:1]).fetchall():
        if ids.intersection(json.loads(requests)):
            gone = "DELETE FROM idempotency WHERE organization = ? AND principal = ? AND route = ? AND key = ?"
            connection.exec_driver_sql(db.sql(gone), (owner[0], principal, route, key))


def _place_holds(db: Database, connection: Connection, writes: Sequence[privacy.PlaceHold]) -> None:
    sql = db.sql(
        "INSERT INTO legal_holds (id, organization, subject, reason, placed_by, placed_at) VALUES (?, ?, ?, ?, ?, ?)"
    )
    for w in writes:
        connection.exec_driver_sql(sql, (w.id, w.organization, w.subject, w.reason, w.placed_by, w.at))


def _release_holds(db: Database, connection: Connection, writes: Sequence[privacy.ReleaseHold]) -> None:
    for w in writes:
        sql = db.sql("UPDATE legal_holds SET released_at = ? WHERE id = ? AND organization = ?")
        connection.exec_driver_sql(sql, (w.at, w.id, w.organization))


def _save_retention(db: Database, connection: Connection, writes: Sequence[privacy.SaveRetention]) -> None:
    sql = db.sql(
        "INSERT INTO retention (organization, class, days, changed_at) VALUES (?, ?, ?, ?) ON CONFLICT "
        "(organization, class) DO UPDATE SET days = excluded.days, changed_at = excluded.changed_at"
    )
    for w in writes:
        connection.exec_driver_sql(sql, (w.organization, w.data_class, w.days, w.at))


def _apply_retention(db: Database, connection: Connection, writes: Sequence[privacy.ApplyRetention]) -> None:
    _overwriting(connection)
    for w in writes:
        table, where = _expired(w.data_class)
        sets = (
            "command = '{}', redacted = NULL, response = NULL, error = NULL, prefix_hash = '', trainable = 0"
            if w.data_class == "calls"
            else f"payload = '{ERASED}', result = CASE WHEN result IS NULL THEN NULL ELSE '{_GONE}' END"
        )
        connection.exec_driver_sql(
            db.sql(f"UPDATE {table} SET {sets} WHERE {where}"), (w.organization, w.before, w.organization)
        )


WRITERS: dict[type[Write], Callable[[Database, Connection, Sequence[Any]], None]] = {
    privacy.EraseSubject: _erase,
    privacy.NoteCleaned: _note_cleaned,
    privacy.PlaceHold: _place_holds,
    privacy.ReleaseHold: _release_holds,
    privacy.SaveRetention: _save_retention,
    privacy.ApplyRetention: _apply_retention,
}
