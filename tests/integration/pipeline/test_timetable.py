"""What beat fires stands in its settings, whatever somebody writes into Redis."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import redis
from celery import Celery
from redbeat.schedulers import ensure_conf

from metaqore.embedded.broker import Broker
from metaqore.queues import celery_config
from metaqore.settings import load
from workers import beat
from workers.timetable import FIRED, Timetable

OURS = beat.schedule(load(environ={}))


@pytest.fixture
def store(valkey: Broker) -> Any:
    return redis.Redis.from_url(valkey.url, socket_timeout=30)


@pytest.fixture
def app(valkey: Broker) -> Celery:
    app = Celery("tests")
    app.conf.update(celery_config(valkey.url, result_expires_s=60))
    app.conf.beat_schedule = OURS
    ensure_conf(app)
    return app


def names(timetable: Timetable) -> dict[str, tuple[str, Any, Any]]:
    return {name: (entry.task, entry.args, entry.schedule.seconds) for name, entry in timetable.schedule.items()}


def forge(store: Any) -> None:
    """Write what ends redbeat, and what makes it send a task of somebody's choice."""
    due = {"name": "evil", "task": "os.system", "args": ["true"], "kwargs": {}, "options": {}, "enabled": True,
           "schedule": {"__type__": "interval", "every": 1, "relative": False}}  # fmt: skip
    store.hset("mq:beat:evil", mapping={"definition": json.dumps(due), "meta": "{}"})
    store.hset("mq:beat:sweep", mapping={"definition": "not json", "meta": "{"})
    store.set("mq:beat:purge", "no hash")
    for member in (b"mq:beat:evil", b"mq:beat:sweep", b"mq:beat:purge", b"mq:beat:\xff\xfe"):
        store.zadd("mq:beat::schedule", {member: 1})
    store.sadd("mq:beat::statics", b"\xff\xfe")


def test_what_somebody_wrote_into_redis_is_not_fired_and_ends_nothing(app: Celery, store: Any) -> None:
    forge(store)
    timetable = Timetable(app)

    expected = {name: (entry["task"], entry["args"], entry["schedule"]) for name, entry in OURS.items()}
    assert names(timetable) == expected
    sent: list[tuple[Any, ...]] = []
    timetable.send_task = lambda *given, **_: sent.append(given)
    for entry in [*timetable.schedule.values()]:
        timetable.apply_async(entry)

    assert sorted(given[1][0] for given in sent) == sorted(OURS)
    assert {given[0] for given in sent} == {"metaqore.system.fire"}
    assert names(timetable) == expected


def test_when_each_was_fired_is_remembered_over_a_restart(app: Celery, store: Any) -> None:
    first = Timetable(app)
    fired = first.reserve(first.schedule["retain"]).last_run_at

    again = Timetable(app).schedule

    assert abs((again["retain"].last_run_at - fired).total_seconds()) <= 1
    day_before = int(time.time()) - 86_400
    store.hset(FIRED, "retain", day_before)
    assert Timetable(app).schedule["retain"].is_due().is_due, "what was not fired for a day is due at once"


@pytest.mark.parametrize("value", ["99999999999", "-1", "x", "1e9", "", "9" * 400, b"\xff\xfe"])
def test_a_time_that_cannot_be_is_forgotten(app: Celery, store: Any, value: Any) -> None:
    store.hset(FIRED, "sweep", value)
    store.hset(FIRED, b"\xff", "1")

    entry = Timetable(app).schedule["sweep"]

    assert entry.is_due().next <= 5.0


def test_what_is_no_list_of_times_is_thrown_away(app: Celery, store: Any) -> None:
    store.set(FIRED, "x")
    timetable = Timetable(app)
    timetable.reserve(timetable.schedule["sweep"])
    assert store.hkeys(FIRED) == [b"sweep"]


@pytest.mark.parametrize("forever", [None, 10**9])
def test_a_lock_that_no_beat_can_have_taken_keeps_none_from_working(
    app: Celery, store: Any, forever: int | None
) -> None:
    store.set("mq:beat::lock", "somebody", px=forever)
    Timetable(app)
    assert store.get("mq:beat::lock") is None

    store.set("mq:beat::lock", "another beat", px=30_000)
    Timetable(app)
    assert store.get("mq:beat::lock") == b"another beat"
