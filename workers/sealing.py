"""The sealer of a system worker: a thread that looks five times a second whether anything is to be sealed.

A look is one query. No ring is needed for it, so that a lost one can make no checkpoint late, and the path on which
requests are decided carries nothing for it. Of several system workers the one with the lease seals.
"""

from __future__ import annotations

import threading

import structlog

from metaqore.audit.sealer import Sealer, build
from metaqore.errors import MetaQoreError

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.2

_stopping = threading.Event()
_threads: list[threading.Thread] = []


def start() -> None:
    """Begin to seal from a thread of the worker's main process."""
    _stopping.clear()
    thread = threading.Thread(target=_run, name="sealer", daemon=True)
    _threads.append(thread)
    thread.start()


def stop() -> None:
    """Seal what is there once more, and end."""
    _stopping.set()
    for thread in _threads:
        thread.join(5)
    _threads.clear()


def _run() -> None:
    from workers.engine import engine

    sealer: Sealer | None = None
    stop_after = False
    while not stop_after:
        stop_after = _stopping.wait(LOOK_EVERY_S)
        try:
            if sealer is None:
                here = engine()
                sealer = build(here.settings, here.store, here.executor.owner)
            sealer.run()
        except MetaQoreError as error:
            # Nothing is lost meanwhile: what is not sealed now is sealed later.
            log.warning("sealing_failed", reason=error.code, message=error.message)
        except Exception:
            log.exception("sealing_failed")
