"""Delegated tokens, with what they depend on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from metaqore.messages import Write
from metaqore.security import tokens
from metaqore.security.keys import Principal, StoredKey
from metaqore.store.bulk import BulkInsert, BulkUpdate
from metaqore.store.connection import Connection
from metaqore.store.engine import Database
from metaqore.store.rows import one
from metaqore.store.tables.security import delegated_tokens

_save = BulkInsert(
    delegated_tokens, "id organization principal delegator key_id project task scopes created_at expires_at"
)
_revoke = BulkUpdate(delegated_tokens, "revoked_at", "id organization")
_STORED = (
    "SELECT d.organization, d.principal, d.delegator, d.key_id, d.project, d.task, d.scopes, d.expires_at, "
    "d.revoked_at, k.id, k.expires_at, k.revoked_at, k.scopes, t.state FROM delegated_tokens d "
    "LEFT JOIN api_keys k ON k.id = d.key_id LEFT JOIN tasks t ON t.id = d.task WHERE d.id = ?"
)
_scopes = msgspec.json.Decoder(frozenset[str]).decode


class TokenRows:
    """See ``metaqore.security.token_handlers.TokenReads``."""

    _db: Database
    _connection: Connection

    def token_row(self, organization: str, token: str) -> Mapping[str, Any] | None:
        """Return a token's row."""
        sql = "SELECT * FROM delegated_tokens WHERE id = ? AND organization = ?"
        return one(self._db, self._connection, sql, (token, organization))

    def project_exists(self, organization: str, project: str) -> bool:
        """Return whether the organization has this project."""
        sql = self._db.sql("SELECT 1 FROM projects WHERE id = ? AND organization = ?")
        return self._connection.exec_driver_sql(sql, (project, organization)).scalar() is not None

    def task_state(self, organization: str, project: str, task: str) -> str | None:
        """Return the state of a task, or None where the project has no such task."""
        sql = self._db.sql("SELECT state FROM tasks WHERE id = ? AND project = ? AND organization = ?")
        state: str | None = self._connection.exec_driver_sql(sql, (task, project, organization)).scalar()
        return state

    def stored_token(self, token: str) -> tokens.StoredToken | None:
        """Return what is stored of a token, whatever its organization."""
        row = self._connection.exec_driver_sql(self._db.sql(_STORED), (token,)).one_or_none()
        if row is None:
            return None
        scopes, key = _scopes(row[6]), None
        if row[9] is not None:
            key = StoredKey(
                principal=Principal(organization=row[0], name=row[2], key_id=row[9], scopes=_scopes(row[12])),
                secret_hash="", expires_at=row[10], revoked_at=row[11],
            )  # fmt: skip
            scopes = frozenset(scope for scope in scopes if key.principal.may(scope))
        who = Principal(
            organization=row[0], name=row[1], key_id=token, scopes=scopes, delegator=row[2], project=row[4], task=row[5]
        )
        return tokens.StoredToken(
            principal=who, expires_at=row[7], revoked_at=row[8], key=key, has_key=row[3] is not None, task_state=row[13]
        )


def _save_tokens(_db: Database, connection: Connection, writes: Sequence[tokens.SaveToken]) -> None:
    _save(
        connection,
        [
            (w.id, w.organization, w.principal, w.delegator, w.key_id, w.project, w.task, w.scopes, w.at, w.expires_at)
            for w in writes
        ],
    )


def _revoke_tokens(_db: Database, connection: Connection, writes: Sequence[tokens.RevokeToken]) -> None:
    _revoke(connection, [(w.at, w.id, w.organization) for w in writes])


WRITERS: dict[type[Write], Callable[[Database, Connection, Sequence[Any]], None]] = {
    tokens.SaveToken: _save_tokens,
    tokens.RevokeToken: _revoke_tokens,
}
