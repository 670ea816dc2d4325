"""A thread of a system worker's main process that looks, again and again, whether there is anything to do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from metaqore.errors import MetaQoreError

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Looking(Generic[T]):
    """Looks every ``every_s`` seconds from ``start`` to ``stop``. What fails is logged, and tried at the next look.

    Args:
        name: of the thread.
        failed: what a log line about a failure is called.
        make: makes what looks, in the thread, before the first look.
        look: one look.
        once_more: look again when told to stop.
        end: called at the end with what looked.
    """

    def __init__(
        self, name: str, every_s: float, failed: str, make: Callable[[], T], look: Callable[[T], object], *,
        once_more: bool = False, end: Callable[[T], None] = lambda made: None,
    ) -> None:  # fmt: skip
        self._name, self._every_s, self._failed = name, every_s, failed
        self._make, self._look, self._once_more, self._end = make, look, once_more, end
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to look."""
        self._stopping.clear()
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self) -> None:
        """End; a look on its way gets five seconds."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(5)
        self._threads.clear()

    def _run(self) -> None:
        made: T | None = None
        stopping = False
        while not stopping:
            stopping = self._stopping.wait(self._every_s)
            if stopping and not self._once_more:
                break
            try:
                if made is None:
                    made = self._make()
                self._look(made)
            except MetaQoreError as error:
                log.warning(self._failed, reason=error.code, message=error.message)
            except Exception:
                log.exception(self._failed)
        if made is not None:
            self._end(made)
