"""The Celery application: ``celery -A workers.app worker -Q psmp …``."""

from __future__ import annotations

from celery import Celery
from kombu.entity import Exchange, Queue

from metaqore.queues import QUEUES, celery_config
from metaqore.settings import load

settings = load()
app = Celery("metaqore", include=["workers.tasks.drain", "workers.tasks.system", "workers.tasks.schedules"])
app.conf.update(celery_config(settings.redis_url, result_expires_s=settings.result_expires_s))
app.conf.broker_transport = "workers.transport:Transport"
app.conf.worker_consumer = "workers.consumer:Consumer"
app.conf.task_queues = [Queue(name, Exchange(name), routing_key=name) for name in QUEUES]  # type: ignore[no-untyped-call]

from workers import beat, signals  # noqa: E402  they connect to the application above

app.conf.beat_schedule = beat.schedule(settings)
signals.connect(app)
