"""Who is stopped: looked up so often that a stop counts within a second in every process, whatever Redis does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from metaqore.errors import Forbidden
from metaqore.security.keys import Principal
from metaqore.security.ports import Stop
from metaqore.security.stops import whose

#: Seconds for which a look-up is believed.
_BELIEVED_S = 0.5


class Stopped(Forbidden):
    """This principal or project is stopped."""

    code = "stopped"


class StopList:
    """Everything that is stopped, in all organizations: a short list, read as a whole.

    Args:
        look_up: returns the list as it is now.
    """

    def __init__(self, look_up: Callable[[], Sequence[Stop]], clock: Callable[[], float] = time.monotonic) -> None:
        self._look_up = look_up
        self._clock = clock
        self._until = 0.0
        self._stopped: dict[tuple[str, str, str], Stop] = {}

    def check(self, who: Principal, project: str | None = None) -> None:
        """Refuse a stopped caller, or a stopped project.

        Raises:
            Stopped: it is stopped; says why.
            Unavailable: the database cannot be asked.
        """
        now = self._clock()
        if now >= self._until:
            found = self._look_up()
            self._stopped = {(stop.organization, stop.kind, stop.subject): stop for stop in found}
            self._until = now + _BELIEVED_S
        if not self._stopped:
            return
        wanted = [("principal", name) for name in whose(who.name)]
        if project is not None:
            wanted.append(("project", project))
        for kind, subject in wanted:
            stop = self._stopped.get((who.organization, kind, subject))
            if stop is not None:
                raise Stopped(f"{kind} {subject} is stopped: {stop.reason}", stopped=kind)
