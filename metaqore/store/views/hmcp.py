"""Look-ups of patterns and specialists."""

from __future__ import annotations

import msgspec

from metaqore.store.views.lookup import Lookup, Page

_PATTERN = "id, signature, state, support, body, request_id, created_at, updated_at"
_SPECIALIST = "id, pattern, version, state, manifest, gate, request_id, created_at"


class HmcpViews(Lookup):
    """Look-ups of HMCP."""

    def patterns(self, organization: str, *, state: str | None, after: str | None, limit: int) -> Page:
        """Return the patterns that were found, in the order of their discovery."""
        where = {"organization": organization, "state": state}
        found = self.page(_PATTERN, "patterns", where, key="id", after=after, limit=limit)
        return Page([{**row, "body": msgspec.json.decode(row["body"])} for row in found.items], found.last)

    def specialists(
        self, organization: str, *, state: str | None, pattern: str | None, after: str | None, limit: int
    ) -> Page:  # fmt: skip
        """Return the specialists, without their weights, in the order of their training."""
        where = {"organization": organization, "state": state, "pattern": pattern}
        found = self.page(_SPECIALIST, "specialists", where, key="id", after=after, limit=limit)
        decode = msgspec.json.decode
        rows = [{**row, "manifest": decode(row["manifest"]), "gate": decode(row["gate"])} for row in found.items]
        return Page(rows, found.last)
