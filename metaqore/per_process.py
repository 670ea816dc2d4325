"""What each process has one of: threads, connections and pools do not survive a fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Made by the first caller in a process, while others wait; never one that was inherited over a fork."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._guard = threading.Lock()
        # By process id: what was inherited is never let go, for closing it here would close the parent's connections.
        self._made: dict[int, T] = {}

    def __call__(self) -> T:
        """Return it."""
        try:
            return self._made[os.getpid()]
        except KeyError:
            return self._first(os.getpid())

    def _first(self, pid: int) -> T:
        with self._guard:
            if pid not in self._made:
                self._made[pid] = self._make()
            return self._made[pid]


def thread(name: str, run: Callable[[], object]) -> PerProcess[None]:
    """Return what starts ``run`` in a thread of its own, once in each process that calls it."""
    return PerProcess(lambda: threading.Thread(target=run, name=name, daemon=True).start())
