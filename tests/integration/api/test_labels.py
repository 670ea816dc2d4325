"""Labels are obeyed by everything that keeps or passes on: what each sink has of each label, through the door."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from metaqore import bootstrap
from metaqore.cli.demo.receiver import Receiver
from metaqore.store.unit_of_work import SqlStore
from tests.integration.api.test_events import follow
from tests.running import Running, wait_until

LABELS = ("PUBLIC", "INTERNAL", "SENSITIVE", "CRITICAL")
QUESTION = "Which maintenance type is this? fix a bug"
#: What a caller declares, so that a prompt that says nothing gets the label.
FLAGS: dict[str, dict[str, Any]] = {
    "PUBLIC": {},
    "INTERNAL": {"task_type": "release_plan"},
    "SENSITIVE": {"has_sensitive_data": True},
    "CRITICAL": {"has_sensitive_data": True, "is_security_task": True},
}


class Told:
    """One artifact and one model call of each label, and what was told of them."""

    def __init__(self, mq: Running, receiver: Receiver) -> None:
        self.mq, self.receiver = mq, receiver
        self.project = mq.project("labels")
        self.canaries = {label: f"canary{uuid.uuid4().hex}" for label in LABELS}
        self.calls: dict[str, Any] = {}
        self.artifacts: dict[str, str] = {}
        endpoint = mq.post("/webhooks", {"url": receiver.url}).json["id"]
        for label, canary in self.canaries.items():
            body = {
                "project": self.project,
                "type": "doc",
                "name": label,
                "content": f"It says {canary}.",
                "label": label,
            }
            done = mq.post("/artifacts", body, prefer="wait=60").json
            self.artifacts[label] = done["result"]["artifact"]["id"]
            call = {"prompt": f"{QUESTION} {canary}", "project": self.project, **FLAGS[label]}
            self.calls[label] = mq.post("/llm/generate", call, prefer="wait=60").json
        self.endpoint = endpoint

    def sent(self) -> bytes:
        """Return every webhook, headers and bodies, once the last artifact was told of."""
        last = self.artifacts[LABELS[-1]]
        wait_until(lambda: any(last in str(each.body) for each in self.receiver.received), "the last webhook came in")
        return repr([(each.headers, each.body) for each in self.receiver.received]).encode()

    def streamed(self) -> bytes:
        """Return what an event stream from the beginning says, up to the last artifact."""
        said = b""
        with follow(self.mq, f"?project={self.project}", Last_Event_ID="0") as reader:
            while self.artifacts[LABELS[-1]].encode() not in said:
                said += repr(reader.frame()).encode()
        return said


@pytest.fixture(scope="module")
def planted(mq: Running) -> Iterator[Told]:
    with Receiver() as receiver:
        made = Told(mq, receiver)
        yield made
        mq.call("DELETE", f"/webhooks/{made.endpoint}")


def everything_in_redis(mq: Running) -> bytes:
    client: Any = redis.Redis.from_url(mq.broker.url, socket_timeout=2)
    found = [client.get(key) or b"" for key in client.scan_iter("*", count=1000) if client.type(key) == b"string"]
    return b"\n".join(found)


def test_each_call_has_its_label_and_its_answer(planted: Told) -> None:
    for label, call in planted.calls.items():
        assert (call["verdict"], call["result"]["decision"]["label"]) == ("approved", label)
        assert call["result"]["text"]


@pytest.mark.parametrize("label", LABELS)
def test_the_result_cache_has_no_answer_that_may_not_be_cached(mq: Running, planted: Told, label: str) -> None:
    client = redis.Redis.from_url(mq.broker.url, socket_timeout=2)

    def kept() -> bytes:
        found = client.get(f"mq:celery-task-meta-{planted.calls[label]['id']}")
        return found if isinstance(found, bytes) else b""

    cached = json.loads(wait_until(kept, "the result backend knows that it is finished"))

    assert cached["status"] == "SUCCESS"
    assert ("result" in cached["result"]) == (label in ("PUBLIC", "INTERNAL"))


def test_no_sink_has_the_content_of_an_artifact_or_a_prompt_of_any_label(mq: Running, planted: Told) -> None:
    events = mq.get(f"/events?project={planted.project}&limit=200").body
    deliveries = mq.get(f"/webhooks/{planted.endpoint}/deliveries?page_size=200").body
    entries = mq.get(f"/audit/entries?project={planted.project}&page_size=200").body
    logs = b"".join(file.read_bytes() for file in mq.folder.rglob("*.log"))
    metrics = mq.get("//metrics").body
    database = bootstrap.open_database(mq.settings)
    with database.read() as connection:
        outgoing = repr(connection.exec_driver_sql("SELECT * FROM events").fetchall()).encode()
    database.close()
    sinks = {"events": events, "deliveries": deliveries, "audit": entries, "logs": logs, "metrics": metrics,
             "what webhooks and streams are made of": outgoing, "redis": everything_in_redis(mq),
             "the receiver of webhooks": planted.sent(), "the event stream": planted.streamed()}  # fmt: skip

    assert planted.artifacts["CRITICAL"].encode() in outgoing
    for sink, held in sinks.items():
        for label, canary in planted.canaries.items():
            assert canary.encode() not in held, (sink, label)
    for label, canary in planted.canaries.items():
        assert canary.encode() in mq.get(f"/artifacts/{planted.artifacts[label]}").body, label


def test_the_training_set_has_public_calls_alone(mq: Running, planted: Told) -> None:
    database = bootstrap.open_database(mq.settings)
    with SqlStore(database).read() as tx:
        learnt = tx.reads("hmcp").events("default", 0, 10_000)
        ids = {row["request_id"] for row in tx.reads("llm").settled("default", 0, 10_000)}
    database.close()

    assert {event.label for event in learnt} <= {"PUBLIC"}
    assert planted.calls["PUBLIC"]["id"] in ids
    assert not {planted.calls[label]["id"] for label in LABELS[1:]} & ids


def test_a_call_on_an_artifact_inherits_what_its_content_was_found_to_hold(mq: Running, planted: Told) -> None:
    body = {"project": planted.project, "type": "doc", "name": "found", "content": "Write to maria.keller@posteo.net."}
    made = mq.post("/artifacts", body, prefer="wait=60").json["result"]
    call = mq.post("/llm/generate", {"prompt": QUESTION, "inputs": [made["artifact"]["id"]]}, prefer="wait=60").json

    assert made["label_raised"] == {"to": "SENSITIVE", "found": ["email"]}
    assert call["result"]["decision"]["label"] == "SENSITIVE"


def test_a_call_assesses_what_it_sends_whatever_any_artifact_is_labelled(mq: Running) -> None:
    asked = {"prompt": f"{QUESTION} Write to maria.keller@posteo.net."}

    call = mq.post("/llm/generate", asked, prefer="wait=60").json

    assert call["result"]["decision"]["label"] == "SENSITIVE"
