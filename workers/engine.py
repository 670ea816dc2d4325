"""The engine of this worker process, built at first use and anew in each pool child."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

import structlog
from kombu.exceptions import OperationalError

from metaqore.bootstrap import Engine, build
from metaqore.queues import QUEUES, drain_task
from metaqore.requests.progress import Progress
from metaqore.requests.refused import Refused
from metaqore.settings import Settings
from workers.app import app, settings

log = structlog.get_logger(__name__)

_guard = threading.Lock()
_engines: dict[int, Engine] = {}
_progress: dict[int, Progress] = {}
_refused: dict[int, Refused] = {}


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


def progress() -> Progress:
    """Return what notes this process's progress."""
    pid = os.getpid()
    if pid not in _progress:
        here = engine()
        _progress[pid] = Progress(here.store, here.executor.owner, here.executor.clock)
    return _progress[pid]


def refused() -> Refused:
    """Return what counts the messages that this process refuses."""
    pid = os.getpid()
    if pid not in _refused:
        _refused[pid] = Refused(engine().store, settings.organization)
    return _refused[pid]


def _bell(_settings: Settings) -> WorkerBell:
    return WorkerBell()


def engine() -> Engine:
    """Return this process's engine; never one inherited over a fork."""
    pid = os.getpid()
    found = _engines.get(pid)
    if found is None:
        with _guard:
            found = _engines.get(pid)
            if found is None:
                found = build(settings, _bell)
                found.executor.looked = lambda queue, finished: progress().note(queue, finished)
                _engines[pid] = found
    return found
