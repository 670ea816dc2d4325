"""Calls that are out, and how they are cut off."""

from __future__ import annotations

import socket
from types import SimpleNamespace

from metaqore.adapters.flights import Flights


def test_a_connection_that_serves_the_next_call_already_is_not_cut_for_the_one_before() -> None:
    mine, theirs = socket.socketpair()
    connection = SimpleNamespace(sock=mine, flight=None)
    before, after = Flights(lambda index: leaves.pop()).of(0), Flights(None).of(0)
    leaves = [False, True]
    with mine, theirs, before.flown():
        before.uses(connection)
        after.uses(connection)

        before.look()

        mine.sendall(b"still open")
        assert theirs.recv(16) == b"still open"
    assert before.is_cut


def test_a_call_that_is_over_is_not_cut_any_more() -> None:
    leaves = [False, True]
    flight = Flights(lambda index: leaves.pop()).of(0)
    with flight.flown() as may_leave:
        pass

    flight.look()

    assert may_leave
    assert not flight.is_cut
