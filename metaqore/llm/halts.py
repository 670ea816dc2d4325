"""Who of the calls of a batch was stopped since it was decided: asked before each leaves, and while it is out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from metaqore.errors import MetaQoreError
from metaqore.messages import Outcome, Request

log = structlog.get_logger(__name__)

#: Seconds for which a look-up is believed. A stop counts within a second, and a provider asks about calls that are out
#: four times in it.
BELIEVED_S = 0.25


class Halts:
    """The stops that concern the calls of one batch. Safe to ask from several threads.

    Args:
        requests: of the calls, in the order in which the provider gets them.
        look_up: returns the veto of each of them that is stopped now, by id.
    """

    def __init__(
        self,
        requests: Sequence[Request],
        look_up: Callable[[Sequence[Request]], Mapping[str, Outcome]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._requests = requests
        self._look_up = look_up
        self._clock = clock
        self._guard = threading.Lock()
        self._stopped: Mapping[str, Any] = {}
        # Whoever makes this has just looked.
        self._until = clock() + BELIEVED_S

    def go_on(self, index: int) -> bool:
        """Return whether the call at ``index`` may leave, or may be waited for any longer."""
        with self._guard:
            if self._clock() >= self._until:
                try:
                    self._stopped = self._look_up(self._requests)
                except MetaQoreError as error:
                    # Where the database is away no stop can be set either: what is known is what holds.
                    log.warning("stops_not_looked_up", reason=error.code)
                self._until = self._clock() + BELIEVED_S
            return self._requests[index].id not in self._stopped
