"""SecureGateway's decisions in the order of the audit log, for the compliance export."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from metaqore.audit.compliance_lines import Decided
from metaqore.audit.tags import Tag
from metaqore.store.views.lookup import Lookup, Row

#: Entries that are looked through at once.
_CHUNK = 2000
_DECISION = "d.id, d.provider, d.body, c.provider AS called"


class ComplianceViews(Lookup):
    """Look-ups of what one organization has decided."""

    def last(self, organization: str) -> int:
        """Return the number of the last entry."""
        row = self.row("SELECT audit_seq FROM counters WHERE organization = ?", (organization,))
        return int(row["audit_seq"]) if row else 0

    def decided(self, organization: str, through: int | None = None) -> Iterator[Decided]:
        """Yield every decision that stands in the log (now, or up to an entry), in its order, in constant memory.

        The log says what there is. A decision whose row is gone is yielded with what its entry says.
        """
        last = self.last(organization) if through is None else through
        sql = (
            "SELECT seq, request_id, ts_ms, body, leaf_hash FROM audit_entries "
            "WHERE organization = ? AND seq >= ? AND seq < ? AND tag IN (?, ?) ORDER BY seq"
        )
        tags = (Tag.DECISION_APPROVED.value, Tag.DECISION_VETOED.value)
        for first in range(1, last + 1, _CHUNK):
            rows = self.rows(sql, (organization, first, min(first + _CHUNK, last + 1), *tags))
            abouts = [msgspec.json.decode(bytes(row["body"]))["about"] for row in rows]
            known = self._decisions(organization, [about["subject"] for about in abouts])
            for row, about in zip(rows, abouts, strict=True):
                yield _decided(organization, row, about, known.get(about["subject"]))

    def _decisions(self, organization: str, ids: list[str]) -> dict[str, Row]:
        if not ids:
            return {}
        sql = (
            f"SELECT {_DECISION} FROM decisions d LEFT JOIN llm_calls c ON c.request_id = d.request_id "
            f"AND c.decision_id = d.id WHERE d.organization = ? AND d.id IN ({', '.join('?' * len(ids))})"
        )
        return {row["id"]: row for row in self.rows(sql, (organization, *ids))}


def _residency(body: Mapping[str, Any]) -> str | None:
    if "obligations" not in body:
        return None
    return "local" if "keep_local" in body["obligations"] else "any"


def _decided(organization: str, row: Row, about: Mapping[str, Any], decision: Row | None) -> Decided:
    details = about.get("details", {})
    body = msgspec.json.decode(decision["body"]) if decision is not None else {}
    # A request that was denied for what it is was never asked about.
    asked = body.get("asked", {})
    approved, requested = about["outcome"] == "approved", asked.get("provider", "")
    # Who named no agent asked himself; a recommendation that nobody asked for is the engine's own.
    agent = asked.get("agent") or (asked.get("principal", "") if requested or not approved else "")
    provider = (decision["called"] or decision["provider"]) if decision is not None else None
    return Decided(
        organization=organization, seq=row["seq"], leaf_hash=bytes(row["leaf_hash"]).hex(), ts_ms=row["ts_ms"],
        decision=about["subject"], request=row["request_id"], approved=approved,
        label=details.get("label", "unknown"), policy=details.get("policy", ""), policy_digest=about.get("policy"),
        reasons=tuple(body.get("reasons", ())), rules=tuple(details.get("rules", "").split()),
        agent=agent, task_type=asked.get("task_type", ""), requested=requested,
        provider=provider, residency=_residency(body),
    )  # fmt: skip
