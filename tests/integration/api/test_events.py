from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.running import Running, wait_until


class Reader:
    """Reads server-sent events as they arrive."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.left = b""

    def frame(self) -> dict[str, str]:
        """Return the next frame; comments are under the empty name."""
        while b"\n\n" not in self.left:
            chunk = self.response.read1(65536)
            assert chunk, "the stream ended"
            self.left += chunk
        text, _, self.left = self.left.partition(b"\n\n")
        return dict(line.split(": ", 1) if ": " in line else (line, "") for line in text.decode().split("\n"))

    def event(self) -> dict[str, Any]:
        """Return the data of the next event, past signs of life."""
        while "data" not in (found := self.frame()):
            pass
        assert found["id"] == str(json.loads(found["data"])["seq"])
        assert found["event"] == json.loads(found["data"])["type"]
        return dict(json.loads(found["data"]))

    @property
    def ended(self) -> bool:
        """True once the server has ended the stream."""
        return bool(self.response.read1(65536) == b"" and not self.left)


@contextlib.contextmanager
def follow(mq: Running, query: str = "", key: str = "", **headers: str) -> Iterator[Reader]:
    sent = {"Authorization": f"Bearer {key or mq.key}", **{k.replace("_", "-"): v for k, v in headers.items()}}
    url = f"{mq.url}/api/v1/events{query}"
    response = mq.pool.request("GET", url, headers=sent, preload_content=False, timeout=60)
    try:
        assert (response.status, response.headers["Content-Type"]) == (200, "text/event-stream"), response.data
        reader = Reader(response)
        assert reader.frame() == {"retry": "2000"}
        yield reader
    finally:
        response.close()


def declare(mq: Running, project: str, name: str) -> str:
    body = {"project": project, "type": "code", "name": name, "content": 1}
    answer = mq.post("/artifacts", body, prefer="wait=60")
    assert answer.status == 201
    return str(answer.json["result"]["artifact"]["id"])


def test_events_arrive_one_by_one_as_they_happen(mq: Running, project: str) -> None:
    with follow(mq, f"?project={project}") as reader:
        for name in ("a", "b"):
            artifact = declare(mq, project, name)
            event = reader.event()
            assert (event["type"], event["subject"]) == ("artifact.created", artifact)


def test_who_comes_back_misses_nothing_and_hears_nothing_twice(mq: Running, project: str) -> None:
    with follow(mq, f"?project={project}") as reader:
        first = declare(mq, project, "a")
        last = reader.event()
        assert last["subject"] == first
    missed = [declare(mq, project, name) for name in ("b", "c")]

    with follow(mq, f"?project={project}", Last_Event_ID=str(last["seq"])) as reader:
        assert [reader.event()["subject"] for _ in missed] == missed


def test_a_list_and_a_stream_from_the_beginning_agree(mq: Running, project: str) -> None:
    made = [declare(mq, project, name) for name in ("a", "b", "c")]
    listed: list[Any] = []
    token = ""
    while token or not listed:
        page = mq.get(f"/events?format=json&project={project}&page_size=2&page_token={token}").json
        listed += page["items"]
        token = page["next_page_token"]

    with follow(mq, f"?project={project}&after=0") as reader:
        streamed = [reader.event() for _ in made]

    assert [event["subject"] for event in listed] == made
    assert streamed == listed


def test_a_filter_leaves_the_rest_out(mq: Running, project: str) -> None:
    with follow(mq, f"?project={project}&types=artifact.blocked,conflict.*") as reader:
        declare(mq, project, "a")
        mq.post("/artifacts", {"project": project, "type": "code", "name": "a", "content": 2}, prefer="wait=60")
        assert [reader.event()["type"] for _ in range(2)] == ["artifact.blocked", "conflict.detected"]


def test_a_stranger_hears_nothing_of_it(mq: Running, project: str, stranger: str) -> None:
    declare(mq, project, "a")

    listed = mq.get("/events?format=json&page_size=200", key=stranger).json["items"]

    assert not [event for event in listed if event["project"] == project]


def test_a_revoked_key_ends_its_stream(mq: Running) -> None:
    made = mq.post("/keys", {"name": "n", "principal": "p", "scopes": ["events:read"]}).json
    with follow(mq, key=made["secret"]) as reader:
        mq.call("DELETE", f"/keys/{made['id']}")
        wait_until(lambda: reader.ended, "the stream ends")


def test_a_last_event_id_that_was_not_given_here_is_refused(mq: Running) -> None:
    answer = mq.get("/events", headers={"Last-Event-ID": "evt_1"})

    assert (answer.status, answer.json["code"]) == (422, "invalid_input")


@pytest.mark.slow
def test_readers_that_are_gone_give_their_place_back(mq: Running) -> None:
    headers = {"Authorization": f"Bearer {mq.key}"}

    def opened(headers: dict[str, str] = headers) -> Any:
        return mq.pool.request("GET", f"{mq.url}/api/v1/events", headers=headers, preload_content=False, timeout=60)

    streams: list[Any] = []
    while (stream := opened()).status == 200:
        streams.append(stream)
        assert len(streams) <= 128
    refused = json.loads(stream.data)
    assert (stream.status, refused["code"], stream.headers["Retry-After"]) == (429, "share_exceeded", "5")
    assert "principal" in refused["detail"]
    other = mq.post("/keys", {"name": "n", "principal": "somebody-else", "role": "agent"}).json["secret"]
    with contextlib.closing(opened({"Authorization": f"Bearer {other}"})) as theirs:
        assert theirs.status == 200, "one principal does not take the places of all others"

    # They go without a word; the server notices at its next sign of life.
    for gone in streams:
        gone.close()

    def is_free_again() -> bool:
        with contextlib.closing(opened()) as stream:
            return bool(stream.status == 200)

    wait_until(is_free_again, "a place is free")
