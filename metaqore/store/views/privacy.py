"""What is kept of data subjects, readable, and what became of it. See ``metaqore.audit.privacy``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from metaqore.audit.privacy import CLASSES
from metaqore.audit.reconcile import ERASED
from metaqore.audit.vault import Unreadable, is_sealed
from metaqore.clock import to_rfc3339
from metaqore.errors import NotFound
from metaqore.store.connection import Connection
from metaqore.store.repositories.privacy import PrivacyRows
from metaqore.store.sealed import open_whole
from metaqore.store.views.lookup import Lookup, Page, Row
from metaqore.store.views.subject_access import HOLDINGS

#: Columns that hold JSON text.
_JSON = frozenset(
    {"payload", "result", "error", "content", "body", "edges", "command", "response", "evidence", "data", "metadata",
     "document", "base", "answer", "scopes", "events", "depends_on", "remaining", "resolution", "requests", "summary"}
)  # fmt: skip
#: Columns that hold times in milliseconds, beside those that end in ``_at``; nothing of ours is older than that.
_TIMES = frozenset({"at", "ts_ms", "since", "window_start", "period_start", "period_end"})
_EARLIEST_MS = 1_500_000_000_000
_ERASURE = "id, subject, subject_key, basis, requested_by, erased_at, results_at, files_at"


class PrivacyViews(Lookup):
    """Look-ups of one organization's data subjects."""

    def key_of(self, organization: str, subject: str, *, erased: bool = False) -> str:
        """Return the id of a subject's key; of the one that was destroyed last, where only repeats may still ask.

        Args:
            erased: whether that is wanted.

        Raises:
            NotFound: nothing is kept of it.
        """
        with self._db.read() as connection:
            found = PrivacyRows(self._db, connection).key_of(organization, subject)
        if found is None and erased:
            sql = "SELECT subject_key FROM erasures WHERE organization = ? AND subject = ? ORDER BY id DESC LIMIT 1"
            row = self.row(sql, (organization, subject))
            found = None if row is None else row["subject_key"]
        if found is None:
            raise NotFound(f"nothing is kept of {subject} in {organization}")
        return found

    def belongings(self, organization: str, subject: str) -> Mapping[str, int]:
        """Return what there is of a subject: what → how many."""
        with self._db.read() as connection:
            return PrivacyRows(self._db, connection).belongings(organization, subject)

    def everything(self, organization: str, subject: str) -> dict[str, Any]:
        """Return everything that is kept of a subject, payloads readable (GDPR Art. 15), place by place.

        Raises:
            SettingsError: this process has not the master key that they were sealed under.
        """
        found = {name: [dict(row) for row in self.rows(*one.asked(organization, subject))]
                 for name, one in HOLDINGS.items()}  # fmt: skip
        with self._db.read() as connection:
            for row in found["requests"]:
                row["payload"] = self._readable(connection, row["payload"])
        shown = {name: [{k: _shown(k, v) for k, v in row.items()} for row in rows] for name, rows in found.items()}
        return {"organization": organization, "subject": subject, **shown}

    def holds(self, organization: str) -> list[dict[str, Any]]:
        """Return the legal holds in force."""
        with self._db.read() as connection:
            return PrivacyRows(self._db, connection).holds(organization)

    def retention(self, organization: str, default_days: int) -> dict[str, int]:
        """Return class → days."""
        with self._db.read() as connection:
            chosen = PrivacyRows(self._db, connection).retention(organization)
        return {name: chosen.get(name, default_days) for name in CLASSES}

    def erasures(self, organization: str, *, after: str | None, limit: int) -> Page:
        """Return erasures, the newest first."""
        page = self.page(
            _ERASURE, "erasures", {"organization": organization}, key="id", after=after, limit=limit, descending=True
        )  # fmt: skip
        return Page([_erasure(row) for row in page.items], page.last)

    def erasure(self, organization: str, erasure: str) -> dict[str, Any] | None:
        """Return one erasure."""
        row = self.row(f"SELECT {_ERASURE} FROM erasures WHERE organization = ? AND id = ?", (organization, erasure))
        return None if row is None else _erasure(row)

    def _readable(self, connection: Connection, text: str) -> str:
        if text == ERASED:
            return '{"erased":true}'
        if not is_sealed(text):
            return text
        try:
            return open_whole(self._db, connection, text)[1].decode()
        except Unreadable:
            return '{"erased":true}'


def _erasure(row: Row) -> dict[str, Any]:
    """Return an erasure with its state: ``cleaning`` until broker and files hold nothing of it any more."""
    done = row["results_at"] is not None and row["files_at"] is not None
    return {**row, "state": "complete" if done else "cleaning"}


def _shown(column: str, value: Any) -> Any:
    """Return a column as a person reads it: JSON as what it says, times with their date."""
    if type(value) is int and value > _EARLIEST_MS and (column.endswith("_at") or column in _TIMES):
        return to_rfc3339(value)
    try:
        return json.loads(value) if column in _JSON and isinstance(value, str) else value
    except ValueError:
        return value
