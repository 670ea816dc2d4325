"""A Celery application for the test of Flower's configuration."""

import os

from celery import Celery

app = Celery("probe", broker=os.environ["PROBE_BROKER"])


@app.task(name="probe.look", ignore_result=True)  # type: ignore[untyped-decorator]
def look(secret: str) -> str:
    """Return what nobody should see."""
    return secret
