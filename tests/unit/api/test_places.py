"""Nobody holds all threads of a process: streams, waits and slow bodies are held in shares."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from api import app, labels, welcome
from api.door import EXTENSION, Door
from api.places import NoPlace, Places, ShareExceeded, Shares
from metaqore.errors import Forbidden, Unauthenticated
from metaqore.security.keys import Principal
from tests.in_process import InProcess


def who(name: str, organization: str = "acme", delegator: str | None = None) -> Principal:
    return Principal(organization=organization, name=name, key_id="k", scopes=frozenset(), delegator=delegator)


@pytest.fixture
def places() -> Places:
    return Places("event streams", Shares(places=5, principal=2, organization=3))


def test_places_are_given_back(places: Places) -> None:
    ann = who("ann")
    with places.one(ann) as first, places.one(ann) as second, places.one(ann) as third:
        assert (first, second, third) == (True, True, False)
    with places.one(ann) as again:
        assert again


def test_one_principal_leaves_places_for_others(places: Places) -> None:
    assert [places.take(who("ann")) for _ in range(3)] == [True, True, False]
    assert isinstance(places.refusal(who("ann")), ShareExceeded)
    assert places.refusal(who("ann")).message.startswith("principal ann holds 2 event streams")
    assert places.take(who("bob"))


def test_one_organization_leaves_places_for_others(places: Places) -> None:
    assert [places.take(who(name)) for name in ("ann", "bob", "cid", "dee")] == [True, True, True, False]
    assert places.refusal(who("dee")).message.startswith("organization acme holds 3")
    assert places.take(who("ann", "elsewhere")), "a name means another principal in another organization"


def test_what_delegated_tokens_hold_counts_for_the_delegator(places: Places) -> None:
    assert [places.take(who(f"ann/{n}", delegator="ann")) for n in range(3)] == [True, True, False]
    assert not places.take(who("ann"))


def test_a_full_process_is_nobodys_fault(places: Places) -> None:
    assert all(places.take(who(str(n), f"org{n}")) for n in range(5))
    assert not places.take(who("last", "late"))
    assert isinstance(places.refusal(who("last", "late")), NoPlace)


def test_no_principal_and_no_organization_can_hold_every_thread() -> None:
    threads = 2048
    held = (app.HELD_THREADS, app.BODIES)
    assert sum(shares.organization for shares in held) < threads * 0.8
    assert sum(shares.principal for shares in held) < sum(shares.organization for shares in held)
    assert sum(shares.places for shares in held) + labels._AT_ONCE < threads


class Slow:
    """A body that comes to no end before it is told to."""

    def __init__(self) -> None:
        self.is_read, self.may_end = threading.Event(), threading.Event()

    def read(self, _size: int = -1) -> bytes:
        self.is_read.set()
        self.may_end.wait(60)
        return b""


def test_slow_bodies_of_one_principal_end_at_its_share(mq: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    door = mq.app.extensions[EXTENSION]
    monkeypatch.setattr(door.bodies, "_shares", Shares(places=3, principal=1, organization=2))
    slow, statuses = Slow(), list[str]()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST", "PATH_INFO": "/api/v1/projects", "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": "1000", "HTTP_AUTHORIZATION": f"Bearer {mq.key}", "wsgi.input": slow,
        "wsgi.url_scheme": "http", "SERVER_NAME": "x", "SERVER_PORT": "80", "HTTP_HOST": "x", "SCRIPT_NAME": "",
        "QUERY_STRING": "",
    }  # fmt: skip
    sender = threading.Thread(
        target=lambda: cast(Any, mq.app).wsgi_app(environ, lambda status, *_: statuses.append(status))
    )
    sender.start()
    try:
        assert slow.is_read.wait(60)
        refused = mq.post("/projects", {"name": "p"})
        assert (refused.status, refused.json["code"]) == (429, "share_exceeded")
        assert "unfinished bodies" in refused.json["detail"]
    finally:
        slow.may_end.set()
        sender.join(60)
    assert statuses == ["400 BAD REQUEST"]
    assert mq.post("/projects", {"name": "p"}).status == 201


def test_whoever_shows_no_key_holds_few_threads_with_slow_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of a refused body is read, so that its sender hears the answer; but not by all threads."""
    monkeypatch.setattr(labels, "_throwing_away", threading.Semaphore(1))
    first, second = Slow(), Slow()
    answered = threading.Event()

    def refuse(_environ: dict[str, Any], start: Any) -> list[bytes]:
        start("401 UNAUTHORIZED", [("Content-Length", "2")])
        return [b"{}"]

    refusing = labels.Labelled(refuse)

    def ask(body: Slow) -> None:
        assert refusing({"wsgi.input": body}, lambda *_: None) == [b"{}"]
        answered.set()

    holding = threading.Thread(target=ask, args=(first,))
    holding.start()
    assert first.is_read.wait(60)
    quick = threading.Thread(target=ask, args=(second,))
    quick.start()
    try:
        assert answered.wait(60), "the second is answered while the first holds its thread"
        assert not second.is_read.is_set()
    finally:
        first.may_end.set()
        second.may_end.set()
        holding.join(60)
        quick.join(60)


@pytest.mark.parametrize("refusal", [Unauthenticated("revoked"), Forbidden("stopped")])
def test_a_long_answer_ends_when_its_caller_may_have_no_more(
    refusal: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def authenticate(_key: str | None) -> None:
        raise refusal

    here = cast(
        Door,
        SimpleNamespace(keys=SimpleNamespace(authenticate=authenticate), stops=SimpleNamespace(check=lambda _: None)),
    )
    monkeypatch.setattr(welcome, "LOOK_S", 0.0)

    with pytest.raises(type(refusal)):
        list(welcome.while_welcome(here, "Bearer mq_x", range(3)))
