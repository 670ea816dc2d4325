"""Who is stopped: looked up when Redis says that it changed, and so often that it counts within a second without."""

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
        listen: makes sure that somebody hears what is announced, and calls ``forget`` then.
    """

    def __init__(
        self,
        look_up: Callable[[], Sequence[Stop]],
        clock: Callable[[], float] = time.monotonic,
        *,
        listen: Callable[[], None] = lambda: None,
    ) -> None:
        self._look_up = look_up
        self._clock = clock
        self._listen = listen
        self._until = 0.0
        #: How many changes were announced, and how many of them the last look-up has surely seen.
        self._changes = self._seen = 0
        self._stopped: dict[tuple[str, str, str], Stop] = {}

    def forget(self) -> None:
        """Look again before the next answer: something was stopped, or may go on."""
        self._changes += 1

    def check(self, who: Principal, project: str | None = None) -> None:
        """Refuse a stopped caller, or a stopped project.

        Raises:
            Stopped: it is stopped; says why.
            Unavailable: the database cannot be asked.
        """
        now = self._clock()
        if now >= self._until or self._seen != self._changes:
            self._listen()
            changes = self._changes
            found = self._look_up()
            self._stopped = {(stop.organization, stop.kind, stop.subject): stop for stop in found}
            self._seen, self._until = changes, now + _BELIEVED_S
        if not self._stopped:
            return
        wanted = [("principal", name) for name in whose(who.name)]
        if project is not None:
            wanted.append(("project", project))
        for kind, subject in wanted:
            stop = self._stopped.get((who.organization, kind, subject))
            if stop is not None:
                raise Stopped(f"{kind} {subject} is stopped: {stop.reason}", stopped=kind)
