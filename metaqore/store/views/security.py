"""Look-ups of API keys, and of SecureGateway's decisions, policies and stops."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec

from metaqore.security.keys import StoredKey
from metaqore.security.policy_replay import Recorded
from metaqore.security.ports import Stop
from metaqore.security.tokens import StoredToken
from metaqore.store.repositories.security import SecurityRows
from metaqore.store.repositories.security_gate import all_stops
from metaqore.store.tenant import EVERYONE, on_behalf_of
from metaqore.store.views.lookup import Lookup, Page, Row

_TOKEN = "id, principal, delegator, project, task, scopes, created_at, expires_at, revoked_at"
_KEY = (
    "id, principal, name, scopes, created_by, created_at, expires_at, revoked_at, rotated_at, previous_until, "
    "environment"
)


class SecurityViews(Lookup):
    """Look-ups of keys, decisions, policies and stops."""

    def principal(self, key_id: str) -> StoredKey | None:
        """Return what is stored of a key, whatever its organization."""
        with on_behalf_of(EVERYONE), self._db.read() as connection:
            return SecurityRows(self._db, connection).principal(key_id)

    def policies(self, organization: str, project: str) -> list[Row]:
        """Return the newest versions of the policy of an organization (``project`` is "") or a project."""
        sql = (
            "SELECT project, version, digest, document, reason, created_by, created_at FROM policies "
            "WHERE organization = ? AND project = ? ORDER BY version DESC LIMIT 50"
        )
        return [
            {**row, "project": row["project"] or None, "document": msgspec.json.decode(row["document"])}
            for row in self.rows(sql, (organization, project))
        ]

    @contextlib.contextmanager
    def gate(self) -> Iterator[SecurityRows]:
        """Give SecureGateway's look-ups outside of any write transaction."""
        with self._db.read() as connection:
            yield SecurityRows(self._db, connection)

    def latest_decisions(self, organization: str, project: str | None, limit: int) -> list[Recorded]:
        """Return the latest decisions of an organization or a project, the newest first."""
        sql = "SELECT id, request_id, project, verdict, body FROM decisions WHERE organization = ? "
        sql += "AND project = ? " if project is not None else ""
        values = [organization, *([project] if project is not None else []), limit]
        return [
            Recorded(row["id"], row["request_id"], row["project"], row["verdict"], msgspec.json.decode(row["body"]))
            for row in self.rows(sql + "ORDER BY id DESC LIMIT ?", values)
        ]

    def stops(self, organization: str) -> list[Stop]:
        """Return everything that is stopped in an organization."""
        with self._db.read() as connection:
            return SecurityRows(self._db, connection).stops(organization, None)

    def all_stops(self) -> list[Stop]:
        """Return everything that is stopped, whatever the organization: for the door."""
        with on_behalf_of(EVERYONE), self._db.read() as connection:
            return all_stops(self._db, connection)

    def decision(self, organization: str, decision: str) -> Row | None:
        """Return a decision's row, its body decoded."""
        row = self.row("SELECT * FROM decisions WHERE id = ? AND organization = ?", (decision, organization))
        return None if row is None else {**row, "body": msgspec.json.decode(row["body"])}

    def token(self, token: str) -> StoredToken | None:
        """Return what is stored of a delegated token, whatever its organization."""
        with on_behalf_of(EVERYONE), self._db.read() as connection:
            return SecurityRows(self._db, connection).stored_token(token)

    def tokens(self, organization: str, *, delegator: str | None, after: str | None, limit: int) -> Page:
        """Return the delegated tokens of an organization, or of one delegator."""
        where = {"organization": organization, "delegator": delegator}
        found = self.page(_TOKEN, "delegated_tokens", where, key="id", after=after, limit=limit)
        return Page([{**row, "scopes": msgspec.json.decode(row["scopes"])} for row in found.items], found.last)

    def key(self, organization: str, key: str) -> Row | None:
        """Return one key; never its secret, nor its hash."""
        row = self.row(f"SELECT {_KEY} FROM api_keys WHERE id = ? AND organization = ?", (key, organization))
        return None if row is None else {**row, "scopes": msgspec.json.decode(row["scopes"])}

    def project_of(self, table: str, organization: str, thing: str) -> str | None:
        """Return the project of a thing; ``table`` is one of ours, never what somebody sent."""
        row = self.row(f"SELECT project FROM {table} WHERE id = ? AND organization = ?", (thing, organization))
        return None if row is None else row["project"]

    def keys(self, organization: str, *, after: str | None, limit: int) -> Page:
        """Return the keys of an organization; never a secret, nor its hash."""
        found = self.page(_KEY, "api_keys", {"organization": organization}, key="id", after=after, limit=limit)
        return Page([{**row, "scopes": msgspec.json.decode(row["scopes"])} for row in found.items], found.last)
