"""The drain task of the system queue: webhook deliveries."""

from __future__ import annotations

from collections.abc import Sequence

from metaqore.queues import drain_task
from workers.app import app


@app.task(name=drain_task("system"), ignore_result=True)
def deliver(ids: Sequence[str] = ()) -> int:
    """Send the deliveries that are due."""
    return 0
