"""Look-ups of patterns and specialists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from metaqore.store.bulk import placeholders
from metaqore.store.views.lookup import Lookup, Page

_PATTERN = "id, signature, state, support, body, request_id, created_at, updated_at"
_SPECIALIST = "id, pattern, version, state, manifest, gate, digest, request_id, created_at"
#: What a call that a specialist was asked about can have come to.
KINDS = ("served", "abstained", "audited", "shadow")


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
        counts = self._service(organization, [row["id"] for row in found.items])
        rows = [
            {**row, "manifest": decode(row["manifest"]), "gate": decode(row["gate"]), "service": counts[row["id"]]}
            for row in found.items
        ]
        return Page(rows, found.last)

    def _service(self, organization: str, specialists: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return specialist → what became of the calls that it was asked about."""
        found: dict[str, dict[str, Any]] = {
            key: {**dict.fromkeys((*KINDS, "disagreed", "saved_tokens"), 0), "last_at": None} for key in specialists
        }
        if not specialists:
            return found
        sql = (
            "SELECT specialist, kind, calls, agreed, saved_tokens, last_at FROM specialist_counts "
            f"WHERE organization = ? AND specialist IN ({placeholders(len(specialists))})"
        )
        for row in self.rows(sql, (organization, *specialists)):
            own = found[row["specialist"]]
            own[row["kind"]] = row["calls"]
            own["saved_tokens"] += row["saved_tokens"]
            own["last_at"] = max(row["last_at"], own["last_at"] or 0)
            if row["kind"] in ("audited", "shadow"):
                own["disagreed"] += row["calls"] - row["agreed"]
        return found
