"""Look-ups of API keys and of SecureGateway's decisions."""

from __future__ import annotations

import msgspec

from metaqore.security.keys import Principal
from metaqore.store.repositories.security import SecurityRows
from metaqore.store.views.lookup import Lookup, Page

_KEY = "id, principal, name, scopes, created_by, created_at, expires_at, revoked_at"


class SecurityViews(Lookup):
    """Look-ups of keys and decisions."""

    def principal(self, key_id: str) -> tuple[Principal, str, int | None, int | None] | None:
        """Return (principal, secret hash, expires_at, revoked_at) of a key, whatever its organization."""
        with self._db.read() as connection:
            return SecurityRows(self._db, connection).principal(key_id)

    def keys(self, organization: str, *, after: str | None, limit: int) -> Page:
        """Return the keys of an organization; never a secret, nor its hash."""
        found = self.page(_KEY, "api_keys", {"organization": organization}, key="id", after=after, limit=limit)
        return Page([{**row, "scopes": msgspec.json.decode(row["scopes"])} for row in found.items], found.last)
