"""What beat fires, on the system queue."""

from __future__ import annotations

from metaqore.audit.compliance_plan import Plan
from metaqore.bootstrap import cleaner
from metaqore.requests.planned import PlannedReports
from metaqore.requests.schedules import Schedules
from workers.app import app
from workers.engine import WorkerBell, engine, progress


@app.task(name="metaqore.system.fire", ignore_result=True)
def fire(name: str, period_s: float) -> bool:
    """Do what a schedule asks for, once for each of its firing times."""
    here = engine()
    progress().note("system", 0)
    clean = cleaner(here)
    plan = Plan(here.settings.compliance_frameworks, here.settings.compliance_period)
    return Schedules(
        here.executor, here.intake, WorkerBell(), idempotency_days=here.settings.idempotency_days,
        more={"clean": lambda _: clean.run(), "report": PlannedReports(here.store, here.intake, plan),
              "policies": here.policy_files.catch_up},
        expired=clean.after_retention,
    ).fire(name, period_s)  # fmt: skip
