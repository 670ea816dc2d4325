"""The ring's task, one for each queue: drain what is open. The message says only "look"."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from metaqore import failpoints
from metaqore.queues import QUEUES, drain_task
from metaqore.requests import ringing
from workers.app import app
from workers.engine import engine, progress


def _drain(queue: str) -> Callable[..., int]:
    def drain(ids: Sequence[str] = ()) -> int:
        here = engine()
        decided = ringing.answer(here.executor, queue, ids)
        # A queue that was found empty was looked after, too.
        progress().note(queue, 0)
        failpoints.hit("worker.before_ack")
        return decided

    return drain


for _queue in QUEUES:
    if _queue != "system":
        app.task(_drain(_queue), name=drain_task(_queue), ignore_result=True)
