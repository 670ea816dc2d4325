"""Organizations, API keys and the decisions of SecureGateway."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from metaqore.messages import Write
from metaqore.security import effects, keys
from metaqore.store.bulk import BulkInsert, BulkUpdate
from metaqore.store.connection import Connection
from metaqore.store.engine import Database
from metaqore.store.repositories import security_gate
from metaqore.store.repositories.security_gate import GateRows
from metaqore.store.rows import one
from metaqore.store.tables.security import api_keys, decisions

_key = BulkInsert(api_keys, "id organization principal name secret_hash scopes created_by created_at expires_at")
_decision = BulkInsert(
    decisions,
    "id organization project request_id principal verdict label policy policy_digest provider body created_at",
)
_revoke = BulkUpdate(api_keys, "revoked_at", "id organization")


class SecurityRows(GateRows):
    """Look-ups of keys, decisions, custom policies and stops."""

    def key_row(self, organization: str, key: str) -> Mapping[str, Any] | None:
        """Return a key's row."""
        sql = "SELECT * FROM api_keys WHERE id = ? AND organization = ?"
        return one(self._db, self._connection, sql, (key, organization))

    def principal(self, key_id: str) -> tuple[keys.Principal, str, int | None, int | None] | None:
        """Return (principal, secret hash, expires_at, revoked_at) of a key, whatever its organization."""
        sql = "SELECT organization, principal, scopes, secret_hash, expires_at, revoked_at FROM api_keys WHERE id = ?"
        row = self._connection.exec_driver_sql(self._db.sql(sql), (key_id,)).one_or_none()
        if row is None:
            return None
        scopes = frozenset(msgspec.json.decode(row[2], type=list[str]))
        found = keys.Principal(organization=row[0], name=row[1], key_id=key_id, scopes=scopes)
        return found, row[3], row[4], row[5]


def _save_keys(_db: Database, connection: Connection, writes: Sequence[keys.SaveKey]) -> None:
    _key(
        connection,
        [
            (w.id, w.organization, w.principal, w.name, w.secret_hash, w.scopes, w.created_by, w.at, w.expires_at)
            for w in writes
        ],
    )


def _revoke_keys(_db: Database, connection: Connection, writes: Sequence[keys.RevokeKey]) -> None:
    _revoke(connection, [(w.at, w.id, w.organization) for w in writes])


def _new_decisions(_db: Database, connection: Connection, writes: Sequence[effects.NewDecision]) -> None:
    _decision(
        connection,
        [
            (w.id, w.organization, w.project, w.request_id, w.principal, w.verdict, w.label, w.policy,
             w.policy_digest, w.provider, w.body, w.at)
            for w in writes
        ],
    )  # fmt: skip


WRITERS: dict[type[Write], Callable[[Database, Connection, Sequence[Any]], None]] = {
    keys.SaveKey: _save_keys,
    keys.RevokeKey: _revoke_keys,
    effects.NewDecision: _new_decisions,
    **security_gate.WRITERS,
}
