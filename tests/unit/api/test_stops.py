from __future__ import annotations

import pytest

from api.stops import StopList, Stopped
from metaqore.security.keys import Principal
from metaqore.security.ports import Stop

BOB = Principal(organization="acme", name="bob", key_id="k", scopes=frozenset())


class Stops:
    """What is stopped, and how often somebody looked."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.stopped: list[Stop] = []
        self.looked = 0
        self.list = StopList(self._look_up, lambda: self.now)

    def _look_up(self) -> list[Stop]:
        self.looked += 1
        return [*self.stopped]

    def stop(self, kind: str = "principal", subject: str = "bob", organization: str = "acme") -> None:
        self.stopped.append(Stop(organization, kind, subject, "it loops", "admin", 0))


@pytest.fixture
def stops() -> Stops:
    return Stops()


def test_the_list_is_looked_up_once_and_believed_for_half_a_second(stops: Stops) -> None:
    for _ in range(3):
        stops.list.check(BOB)
    assert stops.looked == 1
    stops.stop()
    stops.now += 0.49
    stops.list.check(BOB)

    stops.now += 0.01

    with pytest.raises(Stopped, match="bob is stopped: it loops"):
        stops.list.check(BOB)


def test_a_stop_that_is_announced_counts_at_once(stops: Stops) -> None:
    stops.list.check(BOB)
    stops.stop()

    stops.list.forget()

    with pytest.raises(Stopped):
        stops.list.check(BOB)
    stops.stopped.clear()
    stops.list.forget()
    stops.list.check(BOB)


def test_what_is_announced_while_the_list_is_read_is_looked_up_again(stops: Stops) -> None:
    def look_up() -> list[Stop]:
        found = stops._look_up()
        if stops.looked == 1:
            stops.stop()
            stops.list.forget()
        return found

    stops.list = StopList(look_up, lambda: stops.now)
    stops.list.check(BOB)

    with pytest.raises(Stopped):
        stops.list.check(BOB)
    assert stops.looked == 2


def test_whoever_acts_for_a_stopped_principal_is_stopped_and_namesakes_are_not(stops: Stops) -> None:
    stops.stop()
    stops.stop(subject="eve", organization="elsewhere")

    for name in ("bob", "bob/crawler"):
        with pytest.raises(Stopped):
            stops.list.check(Principal(organization="acme", name=name, key_id="k", scopes=frozenset()))
    for name in ("bobby", "eve"):
        stops.list.check(Principal(organization="acme", name=name, key_id="k", scopes=frozenset()))
    stops.list.check(Principal(organization="elsewhere", name="bob", key_id="k", scopes=frozenset()))


def test_a_stopped_project_is_refused_where_it_is_named(stops: Stops) -> None:
    stops.stop("project", "proj_1")

    stops.list.check(BOB)
    stops.list.check(BOB, "proj_2")
    with pytest.raises(Stopped, match="project proj_1"):
        stops.list.check(BOB, "proj_1")
