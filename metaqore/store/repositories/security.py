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
from metaqore.store.repositories import security_gate, tokens
from metaqore.store.repositories.security_gate import GateRows
from metaqore.store.repositories.tokens import TokenRows
from metaqore.store.rows import one
from metaqore.store.tables.security import api_keys, decisions

_key = BulkInsert(
    api_keys, "id organization principal name secret_hash scopes created_by created_at expires_at environment"
)
_decision = BulkInsert(
    decisions,
    "id organization project request_id principal verdict label policy policy_digest provider body created_at",
)
_revoke = BulkUpdate(api_keys, "revoked_at", "id organization")
_rotate = BulkUpdate(api_keys, "secret_hash previous_hash previous_until rotated_at", "id organization")


class SecurityRows(GateRows, TokenRows):
    """Look-ups of keys, tokens, decisions, custom policies and stops."""

    def key_row(self, organization: str, key: str) -> Mapping[str, Any] | None:
        """Return a key's row."""
        sql = "SELECT * FROM api_keys WHERE id = ? AND organization = ?"
        return one(self._db, self._connection, sql, (key, organization))

    def principal_kind(self, organization: str, name: str) -> str | None:
        """Return what kind of principal somebody is, or None where there was no key for them yet."""
        sql = self._db.sql("SELECT kind FROM principals WHERE organization = ? AND name = ?")
        kind: str | None = self._connection.exec_driver_sql(sql, (organization, name)).scalar()
        return kind

    def principal(self, key_id: str) -> keys.StoredKey | None:
        """Return what is stored of a key, whatever its organization."""
        sql = (
            "SELECT k.organization, k.principal, k.scopes, k.secret_hash, k.expires_at, k.revoked_at, "
            "k.previous_hash, k.previous_until, p.kind, k.environment FROM api_keys k LEFT JOIN principals p "
            "ON p.organization = k.organization AND p.name = k.principal WHERE k.id = ?"
        )
        row = self._connection.exec_driver_sql(self._db.sql(sql), (key_id,)).one_or_none()
        if row is None:
            return None
        who = keys.Principal(
            organization=row[0], name=row[1], key_id=key_id, kind=keys.PrincipalKind(row[8] or "agent"),
            scopes=frozenset(msgspec.json.decode(row[2], type=list[str])),
        )  # fmt: skip
        return keys.StoredKey(
            principal=who, secret_hash=row[3], expires_at=row[4], revoked_at=row[5], previous_hash=row[6],
            previous_until=row[7], environment=row[9],
        )  # fmt: skip


def _save_keys(_db: Database, connection: Connection, writes: Sequence[keys.SaveKey]) -> None:
    _key(
        connection,
        [
            (
                w.id,
                w.organization,
                w.principal,
                w.name,
                w.secret_hash,
                w.scopes,
                w.created_by,
                w.at,
                w.expires_at,
                w.environment,
            )
            for w in writes
        ],
    )


def _save_principals(db: Database, connection: Connection, writes: Sequence[keys.SavePrincipal]) -> None:
    sql = db.sql(
        "INSERT INTO principals (organization, name, kind, created_by, created_at) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT DO NOTHING"
    )
    for w in writes:
        connection.exec_driver_sql(sql, (w.organization, w.name, w.kind, w.created_by, w.at))


def _rotate_keys(_db: Database, connection: Connection, writes: Sequence[keys.RotateKey]) -> None:
    _rotate(
        connection,
        [(w.secret_hash, w.previous_hash, w.previous_until, w.at, w.id, w.organization) for w in writes],
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
    keys.SavePrincipal: _save_principals,
    keys.SaveKey: _save_keys,
    keys.RotateKey: _rotate_keys,
    keys.RevokeKey: _revoke_keys,
    effects.NewDecision: _new_decisions,
    **tokens.WRITERS,
    **security_gate.WRITERS,
}
