from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from metaqore.adapters import announcements
from metaqore.adapters.announcements import Announcements, Waiting
from metaqore.adapters.authentic import Authentic
from metaqore.errors import Unavailable

#: Nobody listens there: Redis is dead.
DEAD = "redis://127.0.0.1:9/0"
OURS = Authentic(lambda: b"o" * 32)


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


class Hub(Announcements):
    """One that nobody announces anything to but this test."""

    def __init__(self, finished: Database) -> None:
        self.refused: list[tuple[str, str]] = []
        super().__init__(DEAD, finished, OURS, lambda *what: self.refused.append(what))

    def hear(self, done: bytes) -> None:
        """Take a message on the done channel, as it is."""
        self._take([b"message", announcements._DONE, done])


def test_who_registers_before_it_looks_misses_nothing() -> None:
    hub = Hub(Database())
    with hub.waiting(["a"]) as waiting:
        hub.tell({"a": b"1"})
        assert waiting.wait(60)
    assert waiting.documents == {"a": b"1"}


def test_what_was_told_a_moment_ago_is_still_known() -> None:
    hub = Hub(Database())
    hub.tell({"a": b"1"})
    with hub.waiting(["a"]) as waiting:
        assert waiting.wait(0)


def test_who_waits_for_many_waits_for_all_of_them() -> None:
    hub = Hub(Database())
    with hub.waiting(["a", "b"]) as waiting:
        hub.tell({"a": b"1", "c": b"3"})
        assert not waiting.wait(0)
        assert waiting.documents == {"a": b"1"}
        hub.tell({"a": b"again", "b": b"2"})
        assert waiting.wait(60)
    assert waiting.documents == {"a": b"1", "b": b"2"}


def test_all_who_wait_for_one_are_told() -> None:
    hub = Hub(Database())
    with hub.waiting(["a"]) as first, hub.waiting(["a"]) as second:
        hub.tell({"a": b"1"})
        assert first.wait(60)
        assert second.wait(60)


def test_the_memory_of_what_was_told_is_bounded() -> None:
    hub = Hub(Database())
    full = b"x" * announcements._RECENT_BYTES
    for name in "abc":
        hub.tell({name: full})
    with hub.waiting(["b"]) as forgotten, hub.waiting(["c"]) as known:
        assert not forgotten.wait(0)
        assert known.wait(0)
    for n in range(3 * announcements._RECENT_ITEMS):
        hub.tell({str(n): b"x"})
    assert len(hub._recent) + len(hub._before) <= 2 * announcements._RECENT_ITEMS


def test_a_forged_announcement_answers_nobody_and_is_reported() -> None:
    theirs, said = Authentic(lambda: b"t" * 32), b'mine\na {"verdict": "approved"}'
    stamped = OURS.stamped(said)
    forged = (b"", b"\n", b"\xff\xfe\n\xff", said, b"x" * 28 + said, theirs.stamped(said), stamped[:-1], stamped + b" ",
              bytes([stamped[0] ^ 1]) + stamped[1:], stamped[:27])  # fmt: skip
    hub = Hub(Database())
    with hub.waiting(["a"]) as waiting, hub.following("mine") as mine:
        for message in forged:
            hub.hear(message)
        assert not waiting.wait(0)
        assert not mine.wait(0)
        assert hub.refused == [("mq:done", "forged")] * len(forged)
        hub.hear(stamped)
        assert waiting.wait(0)
        assert mine.wait(0)


def test_an_announcement_of_ours_without_sense_ends_nothing() -> None:
    hub = Hub(Database())
    for senseless in (b"\xff\xfe\n\xff", b"\n", b"\n\n \n", b"\xff", b""):
        hub.hear(OURS.stamped(senseless))
    hub.tell({"a": b"1"})
    with hub.waiting(["a"]) as waiting:
        assert waiting.wait(0)


def test_without_redis_the_database_is_asked_for_all_at_once() -> None:
    database = Database()
    hub = Hub(database)
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
    hub = Hub(Database())
    with hub.waiting(["a"]), hub.waiting(["a"]), hub.following("o"):
        pass

    assert not hub._waiting
    assert not hub._subscriptions


def test_followers_hear_of_their_own_organization_only() -> None:
    hub = Hub(Database())
    with hub.following("mine") as mine, hub.following("other") as other:
        hub.hear(OURS.stamped(b"mine another"))
        assert mine.wait(60)
        assert not mine.wait(0)
        assert not other.wait(0)


def test_a_message_of_many_documents_reaches_each() -> None:
    hub = Hub(Database())
    with hub.waiting(["a", "b"]) as waiting:
        hub.hear(OURS.stamped(b'\na {"x": "y z"}\nb {}'))
        assert waiting.wait(60)
    assert waiting.documents == {"a": b'{"x": "y z"}', "b": b"{}"}


def test_what_may_be_in_no_cache_is_read_from_the_database_and_not_remembered() -> None:
    database = Database()
    hub = Hub(database)
    database.finished = {"a": b"secret"}
    with hub.waiting(["a"]) as waiting:
        hub.hear(OURS.stamped(b"mine\na "))
        assert waiting.wait(30)
    assert waiting.documents == {"a": b"secret"}
    with hub.waiting(["a"]) as late:
        assert late.wait(30)

    assert b"secret" not in hub._recent.values()
