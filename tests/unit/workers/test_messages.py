from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from metaqore.queues import QUEUES, drain_task
from workers.messages import FIRE_TASK, MAX_BODY_BYTES, refusal

RING = drain_task("psmp")
FIRINGS = {("sweep", 5.0), ("purge", 3600.0)}


class Message:
    """A message as kombu hands it over."""

    def __init__(self, task: Any = RING, body: Any = None, **more: Any) -> None:
        self.headers: Any = {"task": task, "id": "1", "lang": "py"}
        self.body = json.dumps([[["req_1"]], {}, {"callbacks": None, "chord": None}]) if body is None else body
        self.content_type = "application/json"
        self.content_encoding: Any = "utf-8"
        for name, value in more.items():
            setattr(self, name, value)


def body(*arguments: Any, named: Any = None, **after: Any) -> str:
    return json.dumps([list(arguments), named or {}, after])


@pytest.mark.parametrize("queue", QUEUES)
def test_a_ring_is_taken(queue: str) -> None:
    for arguments in (body(), body([]), body(["req_1"] * 64)):
        assert refusal(Message(drain_task(queue), arguments), FIRINGS) is None


def test_a_firing_of_a_schedule_of_ours_is_taken_and_no_other() -> None:
    assert refusal(Message(FIRE_TASK, body("sweep", 5.0)), FIRINGS) is None
    assert refusal(Message(FIRE_TASK, body("purge", 3600)), FIRINGS) is None
    for arguments in (("sweep", 0.001), ("nonsense", 5.0), ("sweep",), ("sweep", "5.0"), (["sweep"], 5.0), ()):
        assert refusal(Message(FIRE_TASK, body(*arguments)), FIRINGS) == "arguments"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Message("os.system"), "unknown_task"),
        (Message("celery.starmap"), "unknown_task"),
        (Message("metaqore.psmp.drain.more"), "unknown_task"),
        (Message(None), "unknown_task"),
        (Message([RING]), "unknown_task"),
        (Message(headers=None), "unknown_task"),
        (Message(body=pickle.dumps([[], {}, {}]), content_type="application/x-python-serialize"), "content_type"),
        (Message(content_type="application/x-yaml"), "content_type"),
        (Message(content_encoding="binary"), "content_type"),
        (Message(body="[" * 10_000), "malformed"),
        (Message(body=pickle.dumps([[], {}, {}])), "malformed"),
        (Message(body="{}"), "malformed"),
        (Message(body=b"\xff\xfe"), "malformed"),
        (Message(body=7), "too_large"),
        (Message(body=body(["x" * MAX_BODY_BYTES])), "too_large"),
        (Message(body=body(["req_1"] * 65)), "arguments"),
        (Message(body=body(["x" * 65])), "arguments"),
        (Message(body=body([{"id": 1}])), "arguments"),
        (Message(body=body("req_1")), "arguments"),
        (Message(body=body([], [])), "arguments"),
        (Message(body=body(named={"ids": []})), "arguments"),
        (Message(body=body(callbacks=[{"task": FIRE_TASK}])), "arguments"),
        (Message(body=body(chain=[{"task": FIRE_TASK}])), "arguments"),
        (Message(body=body(chord={"task": FIRE_TASK})), "arguments"),
    ],
)
def test_what_is_no_ring_is_refused_with_its_reason(message: Message, reason: str) -> None:
    assert refusal(message, FIRINGS) == reason
