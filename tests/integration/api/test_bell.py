from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from api.bell import PublisherBell
from metaqore.adapters.announcements import Announcements
from metaqore.adapters.authentic import Authentic
from metaqore.embedded.broker import Broker
from metaqore.queues import STOPS
from tests.running import wait_until


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    folder: Path = tmp_path_factory.mktemp("bell")
    made = Broker(folder / "broker", folder / "broker.log")
    made.start()
    yield made
    made.kill()
    wait_until(made.ended, "the broker ended")


@pytest.fixture
def queue(broker: Broker) -> redis.Redis:
    client = redis.Redis.from_url(broker.url, socket_timeout=2)
    client.flushall()
    return client


def messages(client: redis.Redis, queue: str) -> list[dict[str, object]]:
    return [json.loads(text) for text in client.lrange(f"mq:{queue}", 0, -1)]


def test_a_lone_ring_is_one_message_that_a_worker_knows(broker: Broker, queue: redis.Redis) -> None:
    bell = PublisherBell(broker.url, linger_ms=1)

    bell.ring("psmp", ["req_1"])

    message = wait_until(lambda: messages(queue, "psmp"), "the ring")[0]
    headers = message["headers"]
    assert isinstance(headers, dict)
    assert (headers["task"], headers["ignore_result"]) == ("metaqore.psmp.drain", True)
    assert message["content-type"] == "application/json"


def test_a_burst_becomes_a_few_messages(broker: Broker, queue: redis.Redis) -> None:
    bell = PublisherBell(broker.url, linger_ms=2)
    bell.ring("psmp", [])
    wait_until(lambda: queue.llen("mq:psmp"), "the first ring")

    for n in range(2000):
        bell.ring("psmp", [f"req_{n}"])
    bell.ring("llm", ["last"])

    wait_until(lambda: queue.llen("mq:llm"), "the last ring")
    assert 2 <= queue.llen("mq:psmp") < 200


def test_a_queue_that_no_worker_knows_is_not_rung(broker: Broker, queue: redis.Redis) -> None:
    bell = PublisherBell(broker.url, linger_ms=1)

    bell.ring("control", ["req_1"])
    bell.ring("psmp", ["req_2"])

    wait_until(lambda: queue.llen("mq:psmp"), "the ring")
    assert not queue.exists("mq:control")


def test_rings_while_redis_is_stopped_are_heard_when_it_goes_on(broker: Broker, queue: redis.Redis) -> None:
    bell = PublisherBell(broker.url, linger_ms=1)
    assert broker.pid
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        for n in range(1000):
            bell.ring("psmp", [f"req_{n}"])
            bell.ring("hmcp", [f"req_{n}"])
    finally:
        os.kill(broker.pid, signal.SIGCONT)

    for name in ("psmp", "hmcp"):
        wait_until(lambda name=name: queue.llen(f"mq:{name}"), f"{name} is rung")  # type: ignore[misc]


def test_a_change_of_stops_is_heard_by_every_process_that_listens(broker: Broker, queue: redis.Redis) -> None:
    heard: list[str] = []
    for name in ("one", "two"):
        hub = Announcements(broker.url, lambda _ids: {}, Authentic(lambda: bytes(32)), lambda *_: None)
        hub.on_stops = lambda name=name: heard.append(name)  # type: ignore[misc]
        hub.start()
    wait_until(lambda: {*heard} == {"one", "two"}, "both listen, and have been told to look")
    before = len(heard)

    PublisherBell(broker.url, linger_ms=1).ring(STOPS, [])

    wait_until(lambda: {*heard[before:]} == {"one", "two"}, "both have heard")
    assert not queue.exists("mq:stops")
