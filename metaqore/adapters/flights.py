"""Calls that are out: each can be cut off, from another thread, though it waits for bytes in the middle of an exchange.

A blocked read cannot be told to stop, but its socket can be shut down under it: the read then ends as if the other side
had hung up.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

#: Seconds between two questions whether the calls that are out may go on.
ASK_EVERY_S = 0.25

_present = threading.local()


class NotFlown(urllib3.exceptions.HTTPError):
    """The connection stood when its call had been cut off already; nothing was sent."""


class Flight:
    """One call, from before it leaves until it is over."""

    def __init__(self, may_go_on: Callable[[], bool]) -> None:
        self._may_go_on = may_go_on
        self._guard = threading.Lock()
        self._connection: Any = None
        self._is_out = False
        #: Whether it was cut off.
        self.is_cut = False

    @contextlib.contextmanager
    def flown(self) -> Iterator[bool]:
        """Make the call of this thread in here, where it may leave; gives whether it may."""
        if not self._may_go_on():
            yield False
            return
        _present.flight = self
        self._is_out = True
        try:
            yield True
        finally:
            with self._guard:
                self._is_out, self._connection = False, None
            _present.flight = None

    def uses(self, connection: Any) -> None:
        """Note the connection that the call goes over.

        Raises:
            NotFlown: it was cut off before.
        """
        with self._guard:
            if self.is_cut:
                raise NotFlown("cut off before it left")
            self._connection = connection
            connection.flight = self

    def look(self) -> None:
        """Cut the call off where it may not go on."""
        if not self._is_out or self.is_cut or self._may_go_on():
            return
        with self._guard:
            if self._is_out:
                self.is_cut = True
                # A connection that was given back may serve the next call already.
                mine = self._connection is not None and self._connection.flight is self
                taken = self._connection.sock if mine else None
                if taken is not None:
                    with contextlib.suppress(OSError):
                        # Not ssl's own shutdown, which takes the TLS state away from the thread that reads.
                        socket.socket.shutdown(taken, socket.SHUT_RDWR)


class Flights:
    """The calls of one batch."""

    def __init__(self, go_on: Callable[[int], bool] | None) -> None:
        self._go_on = go_on
        self._flights: list[Flight] = []

    def of(self, index: int) -> Flight:
        """Return the call with this place in its batch."""
        go_on = self._go_on
        flight = Flight((lambda: True) if go_on is None else (lambda: go_on(index)))
        self._flights.append(flight)
        return flight

    def look(self) -> None:
        """Cut off what may not go on."""
        for flight in list(self._flights):
            flight.look()


@contextlib.contextmanager
def watched(go_on: Callable[[int], bool] | None) -> Iterator[Flights]:
    """Give the calls of a batch, and ask again and again whether they may go on."""
    flights, over = Flights(go_on), threading.Event()

    def watch() -> None:
        while not over.wait(ASK_EVERY_S):
            flights.look()

    watcher = threading.Thread(target=watch, name="flights", daemon=True)
    if go_on is not None:
        watcher.start()
    try:
        yield flights
    finally:
        over.set()
        if go_on is not None:
            watcher.join()


class _Cuttable:
    """A connection that tells the call of its thread that it is used."""

    #: The call that it is used for.
    flight: Flight | None = None

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        # It may have taken a while.
        _note(self)

    def request(self, *arguments: Any, **named: Any) -> None:
        _note(self)
        super().request(*arguments, **named)  # type: ignore[misc]


def _note(connection: Any) -> None:
    flight: Flight | None = getattr(_present, "flight", None)
    if flight is not None:
        flight.uses(connection)


class _Http(_Cuttable, HTTPConnection):
    pass


class _Https(_Cuttable, HTTPSConnection):
    pass


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Https


def cuttable(manager: urllib3.PoolManager) -> urllib3.PoolManager:
    """Return a pool manager whose connections can be cut off."""
    manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return manager
