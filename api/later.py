"""Results of what is decided inside an API call, announced from outside of the request thread.

Redis may be stopped, and then each announcement would cost its caller a socket's time-out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue

from metaqore.per_process import thread
from metaqore.requests.model import Finished
from metaqore.requests.ports import Results

#: Announcements that wait for a slow Redis; what is beyond is dropped, because everybody who waits also polls.
_MAX_WAITING = 1000


class Later:
    """See ``metaqore.requests.ports.Results``.

    Args:
        results: what announces, and may block.
        tell: tells those who wait in this very process; never blocks.
    """

    def __init__(self, results: Results, tell: Callable[[Mapping[str, bytes]], None]) -> None:
        self._results = results
        self._tell = tell
        self._waiting: SimpleQueue[tuple[Sequence[Finished], frozenset[str]]] = SimpleQueue()
        self._start = thread("later", self._run)

    def publish(self, finished: Sequence[Finished], organizations: frozenset[str]) -> None:
        """Announce soon; returns at once."""
        if finished:
            self._tell({request.id: request.document for request in finished})
        if self._waiting.qsize() < _MAX_WAITING:
            self._waiting.put((finished, organizations))
        self._start()

    def _run(self) -> None:
        while True:
            self._results.publish(*self._waiting.get())
