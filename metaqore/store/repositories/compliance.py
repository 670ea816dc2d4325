"""Keeps reports on controls, and tells which scheduled ones are due."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from metaqore.audit.compliance_reporting import MAKER, SaveReport
from metaqore.messages import Write
from metaqore.store.bulk import BulkInsert
from metaqore.store.connection import Connection
from metaqore.store.engine import Database
from metaqore.store.tables.compliance import compliance_reports

_FIELDS = (
    "id organization framework period_start period_end created_by request_id created_at entries summary digest document"
)
_insert = BulkInsert(compliance_reports, _FIELDS)


class ComplianceRows:
    """See ``metaqore.audit.compliance_reporting.ReportReads``."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self._db = database
        self._connection = connection

    def _all(self, sql: str, *values: Any) -> Sequence[Any]:
        return self._connection.exec_driver_sql(self._db.sql(sql), values).fetchall()

    def has_project(self, organization: str, project: str) -> bool:
        """Tell whether there is such a project."""
        return bool(self._all("SELECT 1 FROM projects WHERE organization = ? AND id = ?", organization, project))

    def organizations(self) -> list[str]:
        """Return everybody who has a log."""
        return [row[0] for row in self._all("SELECT organization FROM counters ORDER BY organization")]

    def made(self, organization: str, start: int, end: int) -> set[str]:
        """Return the frameworks on which the schedule has reported for a period already."""
        sql = (
            "SELECT framework FROM compliance_reports WHERE organization = ? AND period_start = ? AND period_end = ? "
            "AND created_by = ?"
        )
        return {row[0] for row in self._all(sql, organization, start, end, MAKER)}


def _save(db: Database, connection: Connection, writes: Sequence[SaveReport]) -> None:
    _insert(connection, [tuple(getattr(w, name) for name in _FIELDS.split()) for w in writes])


WRITERS: dict[type[Write], Callable[[Database, Connection, Sequence[Any]], None]] = {SaveReport: _save}
