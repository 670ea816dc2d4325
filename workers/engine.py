"""The engine of this worker process, built at first use and anew in each pool child."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from kombu.exceptions import OperationalError

from metaqore.bootstrap import Engine, build
from metaqore.per_process import PerProcess
from metaqore.queues import QUEUES, drain_task
from metaqore.requests.progress import Progress
from metaqore.requests.refused import Refused
from metaqore.settings import Settings
from workers.app import app, settings

log = structlog.get_logger(__name__)


class WorkerBell:
    """Rings with this worker's own Celery application. A lost ring is repaired by the sweep."""

    def ring(self, queue: str, ids: Sequence[str]) -> None:
        """Send one drain message to ``queue``."""
        if queue not in QUEUES:
            return
        try:
            app.send_task(drain_task(queue), args=[list(ids[:64])], queue=queue, ignore_result=True, retry=False)
        except (OperationalError, OSError) as error:
            log.warning("ring_failed", queue=queue, reason=type(error).__name__)


def _bell(_settings: Settings) -> WorkerBell:
    return WorkerBell()


def _engine() -> Engine:
    built = build(settings, _bell)
    built.executor.looked = lambda queue, finished: progress().note(queue, finished)
    return built


def _progress() -> Progress:
    here = engine()
    return Progress(here.store, here.executor.owner, here.executor.clock)


#: This process's engine.
engine = PerProcess(_engine)
#: What notes this process's progress.
progress = PerProcess(_progress)
#: What counts the messages that this process refuses.
refused = PerProcess(lambda: Refused(engine().store, settings.organization))
