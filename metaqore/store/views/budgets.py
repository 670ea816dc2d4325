"""Look-ups of budgets, for those who look after them."""

from __future__ import annotations

from metaqore.clock import now_ms
from metaqore.llm.budgets import window
from metaqore.store.views.lookup import Lookup, Page

_COLUMNS = "id, scope, subject, unit, period, amount, spent, reserved, window_start, set_by, set_at"
_NAMED = "(SELECT b.*, b.scope || ':' || b.subject || ':' || b.unit AS id FROM budgets b) AS named"


class BudgetViews(Lookup):
    """Look-ups of budgets."""

    def budgets(self, organization: str, *, scope: str | None, after: str | None, limit: int) -> Page:
        """Return the budgets of an organization as they stand in their present period."""
        where = {"organization": organization, "scope": scope}
        found = self.page(_COLUMNS, _NAMED, where, key="id", after=after, limit=limit)
        now = now_ms()
        shown = []
        for row in found.items:
            start = window(row["period"], now)
            spent = row["spent"] if row["window_start"] >= start else 0
            left = max(0, row["amount"] - spent - row["reserved"])
            shown.append({**row, "spent": spent, "left": left, "window_start": max(start, row["window_start"])})
        return Page(shown, found.last)
