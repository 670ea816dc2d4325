"""Look-ups of API keys, and of SecureGateway's decisions, policies and stops."""

from __future__ import annotations

import msgspec

from metaqore.security.keys import Principal
from metaqore.security.ports import Stop
from metaqore.store.repositories.security import SecurityRows
from metaqore.store.repositories.security_gate import all_stops
from metaqore.store.views.lookup import Lookup, Page, Row

_KEY = "id, principal, name, scopes, created_by, created_at, expires_at, revoked_at"


class SecurityViews(Lookup):
    """Look-ups of keys, decisions, policies and stops."""

    def principal(self, key_id: str) -> tuple[Principal, str, int | None, int | None] | None:
        """Return (principal, secret hash, expires_at, revoked_at) of a key, whatever its organization."""
        with self._db.read() as connection:
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

    def stops(self, organization: str) -> list[Stop]:
        """Return everything that is stopped in an organization."""
        with self._db.read() as connection:
            return SecurityRows(self._db, connection).stops(organization, None)

    def all_stops(self) -> list[Stop]:
        """Return everything that is stopped, whatever the organization: for the door."""
        with self._db.read() as connection:
            return all_stops(self._db, connection)

    def decision(self, organization: str, decision: str) -> Row | None:
        """Return a decision's row, its body decoded."""
        row = self.row("SELECT * FROM decisions WHERE id = ? AND organization = ?", (decision, organization))
        return None if row is None else {**row, "body": msgspec.json.decode(row["body"])}

    def keys(self, organization: str, *, after: str | None, limit: int) -> Page:
        """Return the keys of an organization; never a secret, nor its hash."""
        found = self.page(_KEY, "api_keys", {"organization": organization}, key="id", after=after, limit=limit)
        return Page([{**row, "scopes": msgspec.json.decode(row["scopes"])} for row in found.items], found.last)
