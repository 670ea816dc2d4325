"""Budgets and what is held of them. Rows are locked in the order of their key, so that two workers never deadlock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from metaqore.llm.budget_handlers import Ended
from metaqore.llm.budgets import Budget, Reserve, SetBudget, Settle, subjects, window
from metaqore.messages import Write
from metaqore.store.bulk import BulkInsert, placeholders
from metaqore.store.connection import Connection
from metaqore.store.engine import Database
from metaqore.store.tables.llm import reservations

_COLUMNS = "organization, scope, subject, unit, period, amount, spent, reserved, window_start"
_ORDER = "ORDER BY organization, scope, subject, unit"
_WHERE = "organization = ? AND scope = ? AND subject = ? AND unit = ?"
_hold = BulkInsert(reservations, "request_id organization scope subject unit amount at")


class BudgetRows:
    """See ``metaqore.llm.budgeted.BudgetReads`` and ``metaqore.llm.budget_handlers.SetReads``."""

    _db: Database
    _connection: Connection

    def budgets(self, batch: Sequence[tuple[str, str | None, str]]) -> list[Budget]:
        """Return, and lock until the commit, every budget of (organization, project, principal)."""
        found = []
        # Sorted, so that batches over several organizations never wait for each other.
        for organization in sorted({one[0] for one in batch}):
            wanted = {s for one in batch if one[0] == organization for s in subjects(one[1], one[2])}
            names = sorted({subject for _, subject in wanted})
            rows = self._locked(f"organization = ? AND subject IN ({placeholders(len(names))})", organization, *names)
            found += [budget for budget in rows if (budget.scope, budget.subject) in wanted]
        return found

    def budget(self, organization: str, scope: str, subject: str, unit: str) -> Budget | None:
        """Return a budget, locked until the commit."""
        rows = self._locked(_WHERE, organization, scope, subject, unit)
        return rows[0] if rows else None

    def _locked(self, where: str, *values: Any) -> list[Budget]:
        suffix = "" if self._db.is_sqlite else " FOR UPDATE"
        sql = self._db.sql(f"SELECT {_COLUMNS} FROM budgets WHERE {where} {_ORDER}{suffix}")
        return [Budget(*row) for row in self._connection.exec_driver_sql(sql, values)]

    def holding(self, request_ids: Sequence[str]) -> set[str]:
        """Return which of these requests hold a part of a budget."""
        if not request_ids:
            return set()
        sql = f"SELECT DISTINCT request_id FROM reservations WHERE request_id IN ({placeholders(len(request_ids))})"
        return {row[0] for row in self._connection.exec_driver_sql(self._db.sql(sql), tuple(request_ids))}

    def has_project(self, organization: str, project: str) -> bool:
        """Return whether the organization has this project."""
        sql = self._db.sql("SELECT 1 FROM projects WHERE id = ? AND organization = ?")
        return self._connection.exec_driver_sql(sql, (project, organization)).scalar() is not None

    def ended(self, organization: str, limit: int) -> list[Ended]:
        """Return requests that are over and still hold a part of a budget."""
        sql = self._db.sql(
            "SELECT DISTINCT r.request_id, q.state, q.error, c.state FROM reservations r "
            "LEFT JOIN requests q ON q.id = r.request_id LEFT JOIN llm_calls c ON c.request_id = r.request_id "
            "WHERE r.organization = ? AND (q.state IS NULL OR q.state NOT IN ('accepted', 'running')) LIMIT ?"
        )
        return [
            Ended(row[0], row[3] == "prepared" and (row[1] == "cancelled" or "attempts_exhausted" in (row[2] or "")))
            for row in self._connection.exec_driver_sql(sql, (organization, limit))
        ]

    def organizations_with_ended(self) -> list[str]:
        """Return in which organizations requests that are over still hold a part of a budget."""
        sql = (
            "SELECT DISTINCT r.organization FROM reservations r LEFT JOIN requests q ON q.id = r.request_id "
            "WHERE q.state IS NULL OR q.state NOT IN ('accepted', 'running')"
        )
        return [row[0] for row in self._connection.exec_driver_sql(sql)]


def _lock(db: Database, connection: Connection, organizations: set[str]) -> None:
    """Take the locks of all budgets of these organizations, in order, where there is more than one writer."""
    if not db.is_sqlite:
        sql = f"SELECT 1 FROM budgets WHERE organization = ANY(?) {_ORDER} FOR UPDATE"
        connection.exec_driver_sql(db.sql(sql), (sorted(organizations),))


def _reserve(db: Database, connection: Connection, writes: Sequence[Reserve]) -> None:
    sql = db.sql(
        "UPDATE budgets SET reserved = reserved + ?, spent = CASE WHEN window_start < ? THEN 0 ELSE spent END, "
        f"window_start = CASE WHEN window_start < ? THEN ? ELSE window_start END WHERE {_WHERE}"
    )
    for w in writes:
        values = (w.amount, w.window, w.window, w.window, w.organization, w.scope, w.subject, w.unit)
        connection.exec_driver_sql(sql, values)
    _hold(connection, [(w.request_id, w.organization, w.scope, w.subject, w.unit, w.amount, w.at) for w in writes])


def _settle(db: Database, connection: Connection, writes: Sequence[Settle]) -> None:
    held = db.sql(
        "SELECT r.scope, r.subject, r.unit, r.amount, b.period FROM reservations r JOIN budgets b ON "
        "b.organization = r.organization AND b.scope = r.scope AND b.subject = r.subject AND b.unit = r.unit "
        "WHERE r.request_id = ?"
    )
    spend = db.sql(
        "UPDATE budgets SET reserved = reserved - ?, spent = CASE WHEN window_start < ? THEN 0 ELSE spent END + ?, "
        f"window_start = CASE WHEN window_start < ? THEN ? ELSE window_start END WHERE {_WHERE}"
    )
    _lock(db, connection, {w.organization for w in writes})
    for w in writes:
        rows = connection.exec_driver_sql(held, (w.request_id,)).fetchall()
        for scope, subject, unit, amount, period in rows:
            used = amount if w.used is None else w.used[unit]
            start = window(period, w.at)
            values = (amount, start, used, start, start, w.organization, scope, subject, unit)
            connection.exec_driver_sql(spend, values)
        connection.exec_driver_sql(db.sql("DELETE FROM reservations WHERE request_id = ?"), (w.request_id,))


def _set(db: Database, connection: Connection, writes: Sequence[SetBudget]) -> None:
    insert = db.sql(
        "INSERT INTO budgets (organization, scope, subject, unit, period, amount, window_start, set_by, set_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (organization, scope, subject, unit) DO UPDATE SET "
        "amount = excluded.amount, set_by = excluded.set_by, set_at = excluded.set_at, spent = CASE "
        "WHEN budgets.period = excluded.period AND budgets.window_start >= excluded.window_start "
        "THEN budgets.spent ELSE 0 END, period = excluded.period, window_start = excluded.window_start"
    )
    for w in writes:
        name = (w.organization, w.scope, w.subject, w.unit)
        if w.amount is None:
            connection.exec_driver_sql(db.sql(f"DELETE FROM reservations WHERE {_WHERE}"), name)
            connection.exec_driver_sql(db.sql(f"DELETE FROM budgets WHERE {_WHERE}"), name)
        else:
            connection.exec_driver_sql(insert, (*name, w.period, w.amount, w.window, w.set_by, w.at))


WRITERS: Mapping[type[Write], Callable[[Database, Connection, Sequence[Any]], None]] = {
    SetBudget: _set,
    Reserve: _reserve,
    Settle: _settle,
}
