"""Look-ups of approvals, and of what they are about."""

from __future__ import annotations

from typing import Any

import msgspec

from metaqore.store.views.lookup import Lookup, Page, Row

_COLUMNS = (
    "id, project, subject_kind, subject, content_hash, base, needed_scope, reason, state, author, requested_by, "
    "answered_by, answer, expires_at, created_at, answered_at"
)
_decode = msgspec.json.decode


class ApprovalViews(Lookup):
    """Look-ups of approvals."""

    def approval(self, organization: str, approval: str) -> Row | None:
        """Return one approval."""
        row = self.row(f"SELECT {_COLUMNS} FROM approvals WHERE id = ? AND organization = ?", (approval, organization))
        return None if row is None else _shown(row)

    def approvals(
        self, organization: str, *, project: str | None, state: str | None, after: str | None, limit: int
    ) -> Page:
        """Return approvals, the newest first."""
        where = {"organization": organization, "project": project, "state": state}
        found = self.page(_COLUMNS, "approvals", where, key="id", after=after, limit=limit, descending=True)
        return Page([_shown(row) for row in found.items], found.last)


def _shown(row: Row) -> dict[str, Any]:
    return {**row, "base": _decode(row["base"])}
