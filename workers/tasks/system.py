"""The drain task of the system queue: webhook deliveries."""

from __future__ import annotations

from collections.abc import Sequence

from celery.worker import state

from metaqore.queues import drain_task
from workers.app import app
from workers.engine import engine, progress


@app.task(name=drain_task("system"), ignore_result=True)
def deliver(ids: Sequence[str] = ()) -> int:
    """Send the deliveries that are due. One task at a time does, the others only tell it to look again."""
    progress().note("system", 0)
    return engine().dispatcher.run(_stopping)


def _stopping() -> bool:
    # Each is None, or the exit code that this worker was asked to end with; the code 0 counts too.
    return any(asked is not None and asked is not False for asked in (state.should_stop, state.should_terminate))
