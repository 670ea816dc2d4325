"""From an HTTP request to a signed webhook: real API, real Valkey, real Celery worker, real database."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.integration.delivery.conftest import Start
from tests.integration.delivery.receivers import answers, hangs
from tests.running import Running, running, wait_until


@pytest.fixture(scope="module")
def mq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("webhooks")
    options: dict[str, Any] = {"webhook_allow_private": True, "webhook_timeout_s": 2.0}
    with running(folder, queues=("system",), **options) as made:
        yield made


def endpoint(mq: Running, url: str, **options: object) -> tuple[str, str]:
    answer = mq.post("/webhooks", {"url": url, **options})
    assert answer.status == 201, answer.body
    return answer.json["id"], answer.json["secret"]


def states(mq: Running, endpoint: str) -> list[str]:
    return [item["state"] for item in mq.get(f"/webhooks/{endpoint}/deliveries").json["items"]]


def test_an_event_reaches_its_receiver_without_anybody_asking(mq: Running, receiver: Start) -> None:
    there = receiver(answers(204, body=b""))
    made, secret = endpoint(mq, there.url, events=["project.*"])

    project = mq.project()

    wait_until(lambda: there.requests, "the webhook arrives")
    (request,) = there.requests
    event = Webhook(secret).verify(request.body, request.headers)
    assert (event["type"], event["subject"], event["id"]) == ("project.created", project, request.headers["webhook-id"])
    wait_until(lambda: states(mq, made) == ["delivered"], "it is recorded")


def test_a_test_and_a_replay_are_sent(mq: Running, receiver: Start) -> None:
    there = receiver(answers(200))
    made, _ = endpoint(mq, there.url, events=["no.such.event"])

    assert mq.post(f"/webhooks/{made}/test").status == 202
    wait_until(lambda: states(mq, made) == ["delivered"], "the test is delivered")
    (delivery,) = mq.get(f"/webhooks/{made}/deliveries").json["items"]
    assert mq.post(f"/webhooks/deliveries/{delivery['id']}/replay").json == {"replayed": 1, "more": False}

    wait_until(lambda: len(there.ids) == 2, "the replay arrives")
    assert set(there.ids) == {delivery["event_id"]}


def test_an_address_where_clouds_keep_their_credentials_is_refused_at_the_door(mq: Running) -> None:
    answer = mq.post("/webhooks", {"url": "http://169.254.169.254/latest/meta-data/"})

    assert (answer.status, answer.json["code"]) == (422, "url_refused"), answer.body


def test_a_worker_that_is_asked_to_end_finishes_what_is_on_its_way(mq: Running, receiver: Start) -> None:
    there = receiver(hangs)
    made, _ = endpoint(mq, there.url, events=["project.*"])
    for n in range(5):
        mq.project(f"p{n}")
    wait_until(lambda: len(there.requests) == 2, "two are on their way")

    worker = mq.children["worker"]
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGTERM)
    wait_until(worker.ended, "the worker ends")

    with sqlite3.connect(mq.folder / "metaqore.db") as database:
        rows = database.execute(
            "SELECT attempt, last_error IS NOT NULL, lease_until IS NULL FROM webhook_deliveries WHERE endpoint = ? "
            "ORDER BY attempt", (made,),
        ).fetchall()  # fmt: skip
    database.close()
    assert rows == [(0, 0, 1)] * 3 + [(1, 1, 1)] * 2
