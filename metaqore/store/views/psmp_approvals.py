"""Look-ups of approvals, and of what they are about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from metaqore.store.repositories.psmp_past import FOREVER, state_at
from metaqore.store.sealed import open_payload
from metaqore.store.views.lookup import Lookup, Page, Row, paged

_COLUMNS = (
    "a.id, a.project, a.subject_kind, a.subject, a.content_hash, a.base, a.needed_scope, a.reason, a.author, "
    "a.requested_by, a.answered_by, a.answer, a.expires_at, a.created_at, a.answered_at"
)
_decode = msgspec.json.decode


class ApprovalViews(Lookup):
    """Look-ups of approvals. ``at`` is a position in their project's history; without it, they are as they are now."""

    def approval(self, organization: str, approval: str, *, at: int | None = None) -> Row | None:
        """Return one approval; None where there is none, or was none yet."""
        found = self._approvals("a.id = ? AND a.organization = ?", [approval, organization], None, at, 1)
        return found[0] if found else None

    def approvals(
        self, organization: str, *, project: str | None, state: str | None, after: str | None, limit: int,
        at: int | None = None,
    ) -> Page:  # fmt: skip
        """Return approvals, the newest first."""
        where, values = "a.organization = ?", [organization]
        for condition, value in (("a.project = ?", project), ("a.id < ?", after)):
            if value is not None:
                where, values = f"{where} AND {condition}", [*values, value]
        return paged(self._approvals(where, values, state, at, limit + 1), "id", limit)

    def payload(self, organization: str, request: str) -> dict[str, Any] | None:
        """Return the payload of the request that an approval is about; None where there is none, or not any more."""
        sql = self._db.sql("SELECT payload FROM requests WHERE organization = ? AND id = ?")
        with self._db.read() as connection:
            found = connection.exec_driver_sql(sql, (organization, request)).one_or_none()
            return (open_payload(self._db, connection, found[0]) or None) if found is not None else None

    def open_for(self, organization: str, proposal: str, at: int) -> str | None:
        """Return the approval that was open for a proposal at a position."""
        where = "a.organization = ? AND a.subject_kind = 'proposal' AND a.subject = ?"
        found = self._approvals(where, [organization, proposal], "open", at, 1)
        return found[0]["id"] if found else None

    def _approvals(
        self, where: str, values: Sequence[Any], state: str | None, at: int | None, limit: int
    ) -> list[dict[str, Any]]:
        position = FOREVER if at is None else at
        rows = self.rows(
            f"SELECT * FROM (SELECT {_COLUMNS}, {state_at('a')} AS state FROM approvals a "
            f"WHERE {where} AND a.position <= ?) a WHERE a.state = COALESCE(?, a.state) ORDER BY a.id DESC LIMIT ?",
            [position, position, *values, position, state, limit],
        )
        return [_shown(row) for row in rows]


def _shown(row: Row) -> dict[str, Any]:
    fates = {"answered_by": None, "answer": None, "answered_at": None} if row["state"] == "open" else {}
    return {**row, **fates, "base": _decode(row["base"])}
