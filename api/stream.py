"""Server-sent events: the organization's events from the database, woken by Redis, polled while Redis is silent."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from flask import Response

from api.door import Door, caller, door, header
from api.schemas.delivery import EventSchema
from api.welcome import is_welcome
from metaqore.errors import InvalidInput, MetaQoreError
from metaqore.security.keys import Principal
from metaqore.store.tenant import on_behalf_of

#: Seconds between two signs of life, so that proxies keep the stream open and a dead reader is noticed.
HEARTBEAT_S = 10.0
#: Seconds between two looks: at the key, so that a revocation ends the stream, and at the database.
_LOOK_S, _QUIET_LOOK_S = 1.0, 5.0
_PAGE = 200
_schema = EventSchema()


def stream(query: Mapping[str, Any], types: Sequence[str]) -> Response:
    """Answer with a stream of events: those after ``Last-Event-ID`` (or ``after``), else those from now on.

    Raises:
        InvalidInput: ``Last-Event-ID`` was not given by this server.
        NoPlace, ShareExceeded: this process holds as many streams as it can, or as the caller may.
    """
    here, organization = door(), caller().organization
    after = last_event_id()
    if after is None:
        after = query["after"] if query["after"] is not None else here.views.delivery.last_event(organization)
    _take_place(here, caller())
    frames = Frames(here, caller(), header("HTTP_AUTHORIZATION"), query["project"], types, after)
    return Response(frames, content_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def _take_place(here: Door, who: Principal) -> None:
    if not here.streams.take(who):
        raise here.streams.refusal(who)
    if not here.held_threads.take(who):
        here.streams.give_back(who)
        raise here.held_threads.refusal(who)


def last_event_id() -> int | None:
    """Return the ``Last-Event-ID`` of a reader that comes back.

    Raises:
        InvalidInput: it is no sequence number.
    """
    text = (header("HTTP_LAST_EVENT_ID") or "").strip()
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise InvalidInput(f"Last-Event-ID {text[:40]!r}: send the id of an event of this stream")
    return int(text)


class Frames:
    """The frames of one stream; ``close`` gives its place back."""

    def __init__(
        self, here: Door, who: Principal, key: str | None, project: str | None, types: Sequence[str], after: int
    ) -> None:
        self._door = here
        self._who, self._organization = who, who.organization
        self._key = key
        self._project = project
        self._types = types
        self._after = after
        self._has_place = True
        self._frames = self._run()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._frames)

    def close(self) -> None:
        """End the stream; the server calls it, also when the reader is gone."""
        self._frames.close()
        if self._has_place:
            self._has_place = False
            self._door.streams.give_back(self._who)
            self._door.held_threads.give_back(self._who)

    def _run(self) -> Generator[bytes, None, None]:
        announcements = self._door.announcements
        with announcements.following(self._organization) as news:
            yield b"retry: 2000\n\n"
            spoke = looked = 0.0
            is_new = True
            while (welcome := is_welcome(self._door, self._key)) is not False:
                now = time.monotonic()
                if welcome and (is_new or now - looked >= (_QUIET_LOOK_S if announcements.is_hearing else _LOOK_S)):
                    looked = now
                    frames = self._next_frames()
                    if frames:
                        spoke = now
                        yield frames
                        continue
                if now - spoke >= HEARTBEAT_S:
                    # The id moves the reader on past events that its filter left out.
                    spoke = now
                    yield b": alive\nid: %d\n\n" % self._after
                is_new = news.wait(_LOOK_S)

    def _next_frames(self) -> bytes:
        try:
            with on_behalf_of(self._organization):
                rows, seen, _ = self._door.views.delivery.events(
                    self._organization, after=self._after, project=self._project, types=self._types, limit=_PAGE
                )
        except MetaQoreError:
            return b""
        self._after = max(self._after, seen)
        return b"".join(frame(row) for row in rows)


def frame(row: Mapping[str, Any]) -> bytes:
    """Return one event as a frame of the stream."""
    data = msgspec.json.encode(_schema.dump(row))
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (row["seq"], row["type"].encode(), data)
