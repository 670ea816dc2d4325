"""Streams audit entries to sinks from a thread of a system worker; of several workers one is at each sink."""

from __future__ import annotations

import threading

import structlog

from metaqore.delivery.streaming import Streamer
from metaqore.errors import MetaQoreError

log = structlog.get_logger(__name__)

#: A look is one query.
LOOK_EVERY_S = 0.5

_stopping = threading.Event()
_threads: list[threading.Thread] = []


def start() -> None:
    """Begin to stream from a thread of the worker's main process."""
    _stopping.clear()
    thread = threading.Thread(target=_run, name="streamer", daemon=True)
    _threads.append(thread)
    thread.start()


def stop() -> None:
    """Begin nothing more; what is on its way is sent again by whoever looks next, where it is not recorded in time."""
    _stopping.set()
    for thread in _threads:
        thread.join(5)
    _threads.clear()


def _run() -> None:
    from metaqore.bootstrap import streamer
    from workers.engine import engine

    made: Streamer | None = None
    while not _stopping.wait(LOOK_EVERY_S):
        try:
            if made is None:
                made = streamer(engine().settings, engine().store)
            made.look()
        except MetaQoreError as error:
            # Nothing is lost meanwhile: the cursor stands where it stood.
            log.warning("audit_stream_failed", reason=error.code, message=error.message)
        except Exception:
            log.exception("audit_stream_failed")
    if made is not None:
        made.close()
