"""The peer: Celery's default worker with an empty task whose result is awaited."""

import os

from celery import Celery

app = Celery("noop", broker=os.environ["BENCH_REDIS"], backend=os.environ["BENCH_REDIS"])
app.conf.task_default_queue = "bench-noop"
app.conf.broker_connection_retry_on_startup = True


@app.task(name="bench.noop")
def noop(document: dict[str, object]) -> dict[str, object]:
    """Return what was sent."""
    return document
