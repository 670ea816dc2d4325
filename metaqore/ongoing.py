"""What long work says of itself while it goes on, and how it hears that nobody wants it any more.

Whoever performs long work calls ``report`` now and then. Callers see it (``GET /requests/{id}``), and where the request
was cancelled, or given to another worker, ``report`` raises, so that the work ends there. Outside of long work it does
nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from metaqore.errors import MetaQoreError


class Stopped(MetaQoreError):
    """The request is no longer this worker's: it was cancelled, or its lease ended. What is done is thrown away."""

    code = "stopped"


class Mark(msgspec.Struct, frozen=True):
    """How far a request has come: ``done`` of ``total`` things; None where nobody can know how many there are."""

    of: str
    done: int
    total: int | None = None


class Ongoing:
    """The work on some requests: what is said of it by its thread, and what another one says to it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._marks: dict[str, Mark] = {}
        self._said: set[str] = set()
        self._gone: set[str] = set()

    def report(self, request: str, mark: Mark) -> None:
        """Say how far a request has come.

        Raises:
            Stopped: it is no longer wanted.
        """
        with self._guard:
            if request in self._gone:
                raise Stopped(f"request {request} was cancelled, or is another worker's")
            self._marks[request] = mark
            self._said.add(request)

    def news(self) -> dict[str, Mark]:
        """Return what was said since the last call, by request."""
        with self._guard:
            news, self._marks = self._marks, {}
        return news

    def take_away(self, requests: Iterable[str]) -> None:
        """Let the work on these requests stop when it next reports."""
        with self._guard:
            self._gone.update(requests)

    @property
    def said(self) -> frozenset[str]:
        """Requests of which anything was said."""
        with self._guard:
            return frozenset(self._said)

    @property
    def gone(self) -> frozenset[str]:
        """Requests that were taken away."""
        with self._guard:
            return frozenset(self._gone)


_present: ContextVar[Ongoing | None] = ContextVar("ongoing", default=None)


@contextmanager
def here(ongoing: Ongoing) -> Iterator[None]:
    """Let what this thread reports be said of ``ongoing``."""
    token = _present.set(ongoing)
    try:
        yield
    finally:
        _present.reset(token)


def report(request: str, *, done: int, total: int | None = None, of: str) -> None:
    """Say how far the work on a request has come.

    Args:
        done: how many things are done.
        total: of how many; None where nobody can know.
        of: what is counted, e.g. ``decisions``: one word, the same for all requests of a kind.

    Raises:
        Stopped: the request is no longer wanted; let it through.
    """
    ongoing = _present.get()
    if ongoing is not None:
        ongoing.report(request, Mark(of, done, total))
