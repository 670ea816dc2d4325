"""Look-ups of announced intents; those of the joint manifest come with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from metaqore.store.repositories.psmp_past import FOREVER, state_at
from metaqore.store.views.lookup import Page, Row, paged
from metaqore.store.views.psmp_manifest import ManifestViews

_decode = msgspec.json.decode


class HoldingViews(ManifestViews):
    """Look-ups of what heads and open intents hold."""

    def intent(self, organization: str, intent: str, *, now: int, at: int | None = None) -> Row | None:
        """Return one intent; None where there is none, or was none yet.

        Args:
            now: the time at which it is looked at, in milliseconds: an intent expires.
            at: a position in its project's history; without it, the intent is as it is now.
        """
        found = self._intents("i.id = ? AND i.organization = ?", [intent, organization], None, now, at, 1)
        return found[0] if found else None

    def intents(
        self, organization: str, project: str, *, state: str | None, now: int, after: str | None, limit: int,
        at: int | None = None,
    ) -> Page:  # fmt: skip
        """Return the intents of a project in the order in which they were announced; see ``intent``."""
        where, values = "i.project = ? AND i.organization = ? AND i.id > ?", [project, organization, after or ""]
        return paged(self._intents(where, values, state, now, at, limit + 1), "id", limit)

    def _intents(
        self, where: str, values: Sequence[Any], state: str | None, now: int, at: int | None, limit: int
    ) -> list[dict[str, Any]]:
        position = FOREVER if at is None else at
        # Expiry is no decision: what the tables say of it may be later, or earlier, than the time of looking.
        kept = state_at("i")
        rows = self.rows(
            "SELECT * FROM (SELECT i.id, i.project, i.principal, i.purpose, i.body, i.request_id, i.expires_at, "
            "i.created_at, i.remaining, h.document, COALESCE(h.at, i.updated_at) AS updated_at, "
            f"CASE WHEN {kept} NOT IN ('open', 'expired') THEN {kept} WHEN i.expires_at > ? THEN 'open' "
            "ELSE 'expired' END AS state FROM intents i LEFT JOIN record_history h ON h.subject = i.id AND h.position "
            "= (SELECT max(g.position) FROM record_history g WHERE g.subject = i.id AND g.position <= ?) "
            f"WHERE {where} AND i.position <= ?) i WHERE i.state = COALESCE(?, i.state) ORDER BY i.id LIMIT ?",
            [position, position, position, position, now, position, *values, position, state, limit],
        )
        return [_shown(row) for row in rows]


def _shown(row: Row) -> dict[str, Any]:
    shown = {name: value for name, value in row.items() if name not in ("document", "body")}
    remaining = _decode(row["remaining"])
    if row["document"] is not None:
        remaining = _decode(_decode(row["document"]).get("remaining", "[]"))
    return {**shown, **_decode(row["body"]), "remaining": remaining}
