"""What beat fires, on the system queue."""

from __future__ import annotations

from metaqore.bootstrap import cleaner
from metaqore.requests.schedules import Schedules
from workers.app import app
from workers.engine import WorkerBell, engine


@app.task(name="metaqore.system.fire", ignore_result=True)
def fire(name: str, period_s: float) -> bool:
    """Do what a schedule asks for, once for each of its firing times."""
    here = engine()
    clean = cleaner(here)
    return Schedules(
        here.executor, here.intake, WorkerBell(), idempotency_days=here.settings.idempotency_days,
        more={"clean": lambda _: clean.run()}, expired=clean.after_retention,
    ).fire(name, period_s)  # fmt: skip
