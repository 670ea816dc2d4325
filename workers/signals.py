"""What happens when a worker starts and stops."""

from __future__ import annotations

from typing import Any

import structlog
from celery import Celery
from celery.signals import beat_init, setup_logging, worker_init, worker_ready, worker_shutting_down

from metaqore.adapters.heap import settle
from metaqore.adapters.logging import configure
from metaqore.bootstrap import open_database
from metaqore.embedded.readiness import mark_ready
from metaqore.errors import MetaQoreError, SettingsError
from metaqore.queues import QUEUES
from metaqore.requests.sweep import bury
from metaqore.settings import load
from metaqore.store import migrate

log = structlog.get_logger(__name__)


def connect(app: Celery) -> None:
    """Connect the handlers below; signals keep weak references, so they are module functions."""
    setup_logging.connect(_logging)
    worker_init.connect(_check_schema)
    worker_ready.connect(_ready)
    worker_shutting_down.connect(_stopping)
    beat_init.connect(_beat_ready)


def _logging(**_: Any) -> None:
    settings = load()
    configure(settings.log_level, settings.log_format)


def _check_schema(**_: Any) -> None:
    """Do not start on another release's schema; a database that is away for the moment is waited for."""
    # Closed again before a pool is forked.
    database = open_database(load())
    try:
        migrate.check(database)
    except SettingsError as error:
        log.error("worker_refused", reason=error.message)
        # Celery catches the exceptions of its signals' receivers; this is none.
        raise SystemExit(1) from error
    except MetaQoreError as error:
        log.warning("schema_not_checked", reason=error.code)
    finally:
        database.close()


def _ready(sender: Any, **_: Any) -> None:
    """Count the attempts of whatever killed the worker before this one, then look at what is open."""
    from workers import sealing, streaming, watchdog
    from workers.engine import WorkerBell, engine

    names = {queue.name for queue in sender.task_consumer.queues}
    for queue in sorted(names & set(QUEUES)):
        try:
            decided = engine().executor.drain_carefully(queue)
            log.info("worker_ready", queue=queue, decided=decided)
        except MetaQoreError as error:
            log.warning("worker_ready_without_database", queue=queue, reason=error.code)
        WorkerBell().ring(queue, [])
    settle()
    watchdog.start(names & set(QUEUES))
    if "system" in names:
        _bury()
        sealing.start()
        streaming.start()
    mark_ready(load().data_path, sender.hostname.partition("@")[0])


def _bury() -> None:
    """End what has used up its attempts, without waiting for beat."""
    from workers.engine import engine

    try:
        bury(engine().executor, now=engine().executor.clock())
    except MetaQoreError as error:
        log.warning("worker_ready_without_database", queue="system", reason=error.code)


def _stopping(**_: Any) -> None:
    from workers import sealing, streaming

    streaming.stop()
    sealing.stop()


def _beat_ready(**_: Any) -> None:
    mark_ready(load().data_path, "beat")
