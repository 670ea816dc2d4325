"""Redis is only the doorbell: stopped, dead or wiped, requests are accepted as fast, and nobody waits for ever."""

from __future__ import annotations

import os
import signal
import statistics
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from metaqore import bootstrap
from metaqore.settings import Settings
from tests.integration.api.test_events import follow
from tests.running import Running, running, wait_until


class Silent:
    """Rings nothing."""

    def ring(self, queue: str, ids: Any) -> None:
        """Do nothing."""


def drain(settings: Settings) -> int:
    """Decide what is open, in this process: a worker could not hear of it."""
    engine = bootstrap.build(settings, lambda _: Silent())
    try:
        return engine.executor.drain("psmp")
    finally:
        engine.database.close()


@pytest.fixture(scope="module")
def running_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """API and broker without a worker."""
    with running(tmp_path_factory.mktemp("alone"), worker=False) as mq:
        yield mq


@pytest.fixture
def alone(running_alone: Running) -> Iterator[tuple[Running, str]]:
    """API and broker without a worker, a project, and nothing left to decide."""
    running_alone.broker.start()
    drain(running_alone.settings)
    yield running_alone, running_alone.project()


def declaration(project: str) -> dict[str, Any]:
    return {"project": project, "type": "code", "name": uuid.uuid4().hex, "content": 1}


def timed(mq: Running, project: str, n: int) -> list[float]:
    """Return how long submits took, and as many writes that are decided inside the call."""
    took = []
    for number in range(n):
        started = time.perf_counter()
        if number % 2:
            answer = mq.post("/artifacts", declaration(project))
        else:
            answer = mq.post("/tasks", {"project": project, "title": "t"})
        took.append(time.perf_counter() - started)
        assert answer.status in (201, 202)
    return sorted(took)


@pytest.mark.alone
def test_a_stopped_redis_costs_a_submitter_nothing(alone: tuple[Running, str]) -> None:
    mq, project = alone
    timed(mq, project, 20)
    healthy: list[list[float]] = []
    stopped: list[list[float]] = []

    def costs_nothing() -> bool:
        same = min(map(statistics.median, stopped)) <= 1.5 * min(map(statistics.median, healthy))
        # Whatever waited for a socket would take a good part of a second, each time.
        return same and min(took[-1] for took in stopped) < 10 * min(took[-1] for took in healthy)

    # In turn, because the machine is never equally busy for long; again, where it was busy with something else.
    for _ in range(15):
        healthy.append(timed(mq, project, 20))
        assert mq.broker.pid
        os.kill(mq.broker.pid, signal.SIGSTOP)
        try:
            stopped.append(timed(mq, project, 20))
            wait_until(lambda: mq.get("//readyz").json["status"] == "degraded", "it is noticed")
        finally:
            os.kill(mq.broker.pid, signal.SIGCONT)
        wait_until(lambda: mq.get("//readyz").json["status"] == "ready", "it goes on")
        if len(stopped) >= 3 and costs_nothing():
            break
    assert costs_nothing(), (healthy, stopped)


def test_what_could_not_be_rung_is_rung_when_redis_is_back(alone: tuple[Running, str]) -> None:
    mq, project = alone
    mq.broker.kill()
    wait_until(mq.broker.ended, "the broker is dead")
    promised = mq.post("/artifacts", declaration(project)).json["id"]
    mq.broker.start()

    # The worker starts before the ring comes: what it drains at its start is nothing to prove anything with.
    client = redis.Redis.from_url(mq.settings.redis_url, socket_timeout=2)
    wait_until(lambda: client.llen("mq:psmp"), "the ring is in the queue")
    mq.start("worker")
    try:
        assert mq.get(f"/requests/{promised}", prefer="wait=60").json["state"] == "succeeded"
    finally:
        mq.kill("worker")


def test_who_waits_is_told_without_redis(alone: tuple[Running, str]) -> None:
    mq, project = alone
    mq.broker.kill()
    wait_until(mq.broker.ended, "the broker is dead")
    promised = mq.post("/artifacts", declaration(project)).json["id"]
    answers: list[Any] = []
    waiters = [
        threading.Thread(target=lambda: answers.append(mq.get(f"/requests/{promised}", prefer="wait=50")))
        for _ in range(3)
    ]
    with follow(mq, f"?project={project}") as reader:
        for waiter in waiters:
            waiter.start()
        assert drain(mq.settings) == 1
        for waiter in waiters:
            waiter.join(30)
        assert [answer.json["state"] for answer in answers] == ["succeeded"] * 3
        assert reader.event()["type"] == "artifact.created"


def test_a_wiped_redis_loses_no_answer(alone: tuple[Running, str]) -> None:
    mq, project = alone
    promised = mq.post("/artifacts", declaration(project)).json["id"]
    assert drain(mq.settings) == 1
    client = redis.Redis.from_url(mq.settings.redis_url, socket_timeout=2)
    assert client.exists(f"mq:celery-task-meta-{promised}")

    client.flushall()

    assert mq.get(f"/requests/{promised}").json["state"] == "succeeded"


def test_the_subscriber_comes_back_after_redis_does(alone: tuple[Running, str]) -> None:
    mq, project = alone
    mq.get(f"/requests/{mq.post('/artifacts', declaration(project)).json['id']}", prefer="wait=1")

    def hears(wanted: bool) -> bool:
        broker = mq.get("//readyz").json["checks"]["broker"]
        return bool(broker.get("announcements", False)) is wanted

    wait_until(lambda: hears(True), "it hears")
    mq.broker.kill()
    wait_until(mq.broker.ended, "the broker is dead")
    wait_until(lambda: hears(False), "it knows that it does not")
    mq.broker.start()
    wait_until(lambda: hears(True), "it hears again")


def test_cancelling_what_nobody_has_decided_ends_it(alone: tuple[Running, str]) -> None:
    mq, project = alone
    promised = mq.post("/artifacts", declaration(project)).json
    answers: list[Any] = []
    waiter = threading.Thread(target=lambda: answers.append(mq.get(f"/requests/{promised['id']}", prefer="wait=60")))
    waiter.start()

    cancelled = mq.post(promised["links"]["cancel"][7:])
    waiter.join(60)

    assert (cancelled.status, cancelled.json["state"]) == (200, "cancelled")
    assert answers[0].json["state"] == "cancelled"
    assert drain(mq.settings) == 0


def test_a_wait_that_ends_without_a_verdict_is_a_promise(alone: tuple[Running, str]) -> None:
    mq, project = alone

    submitted = mq.post("/artifacts", declaration(project), prefer="wait=1")
    polled = mq.get(f"/requests/{submitted.json['id']}", prefer="wait=1")
    batch = mq.post("/artifacts/batch", {"items": [declaration(project)]}, prefer="wait=1")

    assert (submitted.status, submitted.headers["Preference-Applied"]) == (202, "wait=1")
    assert (polled.status, polled.json["state"], polled.headers["Retry-After"]) == (200, "accepted", "1")
    assert (batch.status, batch.json["items"][0]["status"]) == (202, 202)
