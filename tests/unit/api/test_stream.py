"""What a stream of events sends, and to whom it goes on sending."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from api.door import Door
from api.stream import Frames
from metaqore.errors import Forbidden, MetaQoreError, Unauthenticated, Unavailable
from metaqore.security.keys import Principal

READER = Principal(organization="mine", name="reader", key_id="k", scopes=frozenset())


class Desk:
    """A door with one reader, for whom there is always a new event."""

    def __init__(self) -> None:
        self.asked = self.looked = 0
        self.refusal: MetaQoreError | None = None
        slots = SimpleNamespace(give_back=lambda _who: None)
        news = SimpleNamespace(wait=lambda _seconds: True)
        self.door = cast(Door, SimpleNamespace(
            announcements=SimpleNamespace(following=lambda _: contextlib.nullcontext(news), is_hearing=True),
            stops=SimpleNamespace(check=lambda _who: None), keys=SimpleNamespace(authenticate=self._authenticate),
            views=SimpleNamespace(delivery=SimpleNamespace(events=self._events)), streams=slots, held_threads=slots,
        ))  # fmt: skip

    def _authenticate(self, _header: str | None) -> None:
        self.asked += 1
        # A stream that goes on without saying anything is left alone after a while, or it would never come back.
        if self.asked > 50:
            raise Unauthenticated
        if self.refusal is not None:
            raise self.refusal

    def _events(self, *_: Any, **__: Any) -> tuple[list[dict[str, Any]], int, bool]:
        self.looked += 1
        row = {"seq": self.looked, "type": "artifact.created", "id": "evt_1", "project": None, "subject": "art_1",
               "request_id": None, "data": {}, "created_at": 1}  # fmt: skip
        return [row], self.looked, False

    def frames(self) -> Iterator[bytes]:
        """Return the frames of a new stream, after the first one."""
        found = Frames(self.door, READER, "Bearer mq_x", None, (), 0)
        assert next(found) == b"retry: 2000\n\n"
        return found


@pytest.mark.parametrize("refusal", [Unauthenticated("revoked"), Forbidden("stopped")])
def test_a_stream_ends_when_its_reader_may_not_read_on(refusal: MetaQoreError) -> None:
    desk = Desk()
    frames = desk.frames()
    assert b"event: artifact.created" in next(frames)

    desk.refusal = refusal

    assert list(frames) == []
    assert desk.looked == 1


def test_nothing_is_sent_while_nobody_can_say_whether_the_reader_may_read_on() -> None:
    """The keys of a JWT's issuer are gone, say: the token may have expired long ago."""
    desk = Desk()
    frames = desk.frames()
    assert b"event: artifact.created" in next(frames)

    desk.refusal = Unavailable("the keys of the OpenID provider cannot be had")

    assert not [frame for frame in frames if b"event:" in frame]
    assert desk.looked == 1
    desk.refusal, desk.asked = None, 0
    assert b"event: artifact.created" in next(desk.frames()), "and it goes on when that is known again"
