"""The tasks of the system queue: deliveries, and what beat fires."""

from __future__ import annotations

from collections.abc import Sequence

from metaqore.queues import drain_task
from workers.app import app


@app.task(name=drain_task("system"), ignore_result=True)
def deliver(ids: Sequence[str] = ()) -> int:
    """Send the deliveries that are due."""
    return 0


@app.task(name="metaqore.system.fire", ignore_result=True)
def fire(name: str, period_s: float) -> bool:
    """Do what a schedule asks for, once for each of its firing times."""
    return False
