"""The log as a report on controls reads it, and the reports that were made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from metaqore.audit.reconcile import ERASED
from metaqore.store.bulk import chunks, placeholders
from metaqore.store.repositories.audit import AuditRows
from metaqore.store.views.lookup import Lookup, Page, Row

#: Entries that are read at once.
_CHUNK = 2_000
_SHOWN = "id, framework, period_start, period_end, created_by, request_id, created_at, entries, summary, digest"


class ReportLogViews(Lookup):
    """See ``metaqore.audit.compliance_document.ReportLog``. The log only grows, so it is read without a snapshot."""

    def newest(self, organization: str) -> str | None:
        """Return the newest signed checkpoint."""
        sql = "SELECT note FROM audit_checkpoints WHERE organization = ? ORDER BY size DESC LIMIT 1"
        row = self.row(sql, (organization,))
        return None if row is None else str(row["note"])

    def bodies(self, organization: str, last: int) -> Iterator[list[bytes]]:
        """Yield the bytes of the entries 1 to ``last``; one that is missing leaves its place to the next."""
        sql = "SELECT body FROM audit_entries WHERE organization = ? AND seq >= ? AND seq < ? ORDER BY seq"
        for first in range(1, last + 1, _CHUNK):
            with self._db.read() as connection:
                values = (organization, first, min(first + _CHUNK, last + 1))
                rows = connection.exec_driver_sql(self._db.sql(sql), values).fetchall()
            yield [bytes(row[0]) for row in rows]

    def cited(self, organization: str, numbers: Sequence[int]) -> Mapping[int, bytes]:
        """Return the bytes of entries by their numbers."""
        found: dict[int, bytes] = {}
        for some in chunks(numbers, 500):
            sql = f"SELECT seq, body FROM audit_entries WHERE organization = ? AND seq IN ({placeholders(len(some))})"
            found |= {row["seq"]: bytes(row["body"]) for row in self.rows(sql, (organization, *some))}
        return found

    def tile(self, organization: str, level: int, index: int) -> bytes:
        """Return a stored tile."""
        with self._db.read() as connection:
            return AuditRows(self._db, connection).tile(organization, level, index)

    def erased(self, organization: str, requests: Sequence[str]) -> set[str]:
        """Return those requests whose payload was erased."""
        found: set[str] = set()
        for some in chunks(requests, 500):
            sql = (
                f"SELECT id FROM requests WHERE organization = ? AND payload = ? AND id IN ({placeholders(len(some))})"
            )
            found |= {row["id"] for row in self.rows(sql, (organization, ERASED, *some))}
        return found


class ReportViews(Lookup):
    """Look-ups of one organization's reports."""

    def reports(self, organization: str, *, framework: str | None, after: str | None, limit: int) -> Page:
        """Return what reports say in short, the newest first."""
        where = {"organization": organization, "framework": framework}
        page = self.page(_SHOWN, "compliance_reports", where, key="id", after=after, limit=limit, descending=True)
        return Page([_shown(row) for row in page.items], page.last)

    def document(self, organization: str, report: str) -> str | None:
        """Return the JSON form of a report, as it was made."""
        sql = "SELECT document FROM compliance_reports WHERE organization = ? AND id = ?"
        row = self.row(sql, (organization, report))
        return None if row is None else str(row["document"])


def _shown(row: Row) -> dict[str, Any]:
    return {**row, "summary": msgspec.json.decode(row["summary"])}
