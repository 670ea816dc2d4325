from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from metaqore.adapters import announcements
from metaqore.adapters.announcements import Announcements, Waiting
from metaqore.errors import Unavailable

#: Nobody listens there: Redis is dead.
DEAD = "redis://127.0.0.1:9/0"


class Database:
    """Knows which requests are finished."""

    def __init__(self) -> None:
        self.finished: dict[str, bytes] = {}
        self.asked: list[Sequence[str]] = []
        self.faults = 0

    def __call__(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        self.asked.append(ids)
        if self.faults:
            self.faults -= 1
            raise Unavailable
        return {request: self.finished[request] for request in ids if request in self.finished}


def test_who_registers_before_it_looks_misses_nothing() -> None:
    hub = Announcements(DEAD, Database())
    with hub.waiting(["a"]) as waiting:
        hub.tell({"a": b"1"})
        assert waiting.wait(5)
    assert waiting.documents == {"a": b"1"}


def test_what_was_told_a_moment_ago_is_still_known() -> None:
    hub = Announcements(DEAD, Database())
    hub.tell({"a": b"1"})
    with hub.waiting(["a"]) as waiting:
        assert waiting.wait(0)


def test_who_waits_for_many_waits_for_all_of_them() -> None:
    hub = Announcements(DEAD, Database())
    with hub.waiting(["a", "b"]) as waiting:
        hub.tell({"a": b"1", "c": b"3"})
        assert not waiting.wait(0)
        assert waiting.documents == {"a": b"1"}
        hub.tell({"a": b"again", "b": b"2"})
        assert waiting.wait(5)
    assert waiting.documents == {"a": b"1", "b": b"2"}


def test_all_who_wait_for_one_are_told() -> None:
    hub = Announcements(DEAD, Database())
    with hub.waiting(["a"]) as first, hub.waiting(["a"]) as second:
        hub.tell({"a": b"1"})
        assert first.wait(5)
        assert second.wait(5)


def test_the_memory_of_what_was_told_is_bounded() -> None:
    hub = Announcements(DEAD, Database())
    full = b"x" * announcements._RECENT_BYTES
    for name in "abc":
        hub.tell({name: full})
    with hub.waiting(["b"]) as forgotten, hub.waiting(["c"]) as known:
        assert not forgotten.wait(0)
        assert known.wait(0)
    for n in range(3 * announcements._RECENT_ITEMS):
        hub.tell({str(n): b"x"})
    assert len(hub._recent) + len(hub._before) <= 2 * announcements._RECENT_ITEMS


def test_a_forged_announcement_ends_nothing() -> None:
    hub = Announcements(DEAD, Database())
    for forged in (b"\xff\xfe\n\xff", b"\n", b"\n\n \n", b"\xff", b""):
        hub._take([b"message", announcements._DONE, forged])
    hub.tell({"a": b"1"})
    with hub.waiting(["a"]) as waiting:
        assert waiting.wait(0)


def test_without_redis_the_database_is_asked_for_all_at_once() -> None:
    database = Database()
    hub = Announcements(DEAD, database)
    told: list[Waiting] = []

    def wait(request: str) -> None:
        with hub.waiting([request]) as waiting:
            assert waiting.wait(30)
            told.append(waiting)

    waiters = [threading.Thread(target=wait, args=(f"r{n}",)) for n in range(20)]
    for waiter in waiters:
        waiter.start()
    database.faults = 2
    database.finished = {f"r{n}": b"x" for n in range(20)}
    for waiter in waiters:
        waiter.join(30)

    assert len(told) == 20
    assert max(map(len, database.asked)) > 1


def test_nobody_is_kept_in_mind_after_waiting() -> None:
    hub = Announcements(DEAD, Database())
    with hub.waiting(["a"]), hub.waiting(["a"]), hub.following("o"):
        pass

    assert not hub._waiting
    assert not hub._subscriptions


def test_followers_hear_of_their_own_organization_only() -> None:
    hub = Announcements(DEAD, Database())
    with hub.following("mine") as mine, hub.following("other") as other:
        hub._take([b"message", b"mq:done", b"mine another"])
        assert mine.wait(5)
        assert not mine.wait(0)
        assert not other.wait(0)


def test_a_message_of_many_documents_reaches_each() -> None:
    hub = Announcements(DEAD, Database())
    with hub.waiting(["a", "b"]) as waiting:
        hub._take([b"message", b"mq:done", b'\na {"x": "y z"}\nb {}'])
        assert waiting.wait(5)
    assert waiting.documents == {"a": b'{"x": "y z"}', "b": b"{}"}


def test_what_may_be_in_no_cache_is_read_from_the_database_and_not_remembered() -> None:
    database = Database()
    hub = Announcements(DEAD, database)
    database.finished = {"a": b"secret"}
    with hub.waiting(["a"]) as waiting:
        hub._take([b"message", b"mq:done", b"mine\na "])
        assert waiting.wait(30)
    assert waiting.documents == {"a": b"secret"}
    with hub.waiting(["a"]) as late:
        assert late.wait(30)

    assert b"secret" not in hub._recent.values()
