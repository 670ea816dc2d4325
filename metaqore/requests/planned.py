"""Asks for the reports on controls that are due: requests like any other, once for each period."""

from __future__ import annotations

from metaqore.audit.compliance_plan import Plan
from metaqore.requests.intake import Intake
from metaqore.requests.model import Idempotency
from metaqore.requests.ports import Store


class PlannedReports:
    """Called whenever the schedule fires, however often that is."""

    def __init__(self, store: Store, intake: Intake, plan: Plan) -> None:
        self._store = store
        self._intake = intake
        self._plan = plan

    def __call__(self, now: int) -> int:
        """Submit what is due at ``now`` (ms); return how many reports that are, those in work included."""
        with self._store.read() as tx:
            due = [*self._plan.due(tx.reads("compliance"), now)]
        for key, asked in due:
            # One that is on its way is not made yet; its key stands for it.
            self._intake.submit([asked], Idempotency("schedule:report", key, key))
        return len(due)
