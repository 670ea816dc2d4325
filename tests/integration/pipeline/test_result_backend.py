"""Results are in the Celery result backend for any Celery client, and in the database when Redis has lost them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import redis
from celery import Celery
from celery.result import AsyncResult

from metaqore.queues import celery_config
from tests.running import Running, running, wait_until


@pytest.fixture(scope="module")
def mq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("results"), queues=("psmp",)) as made:
        yield made


@pytest.fixture(scope="module")
def client(mq: Running) -> Celery:
    """Any Celery application that knows the broker's address and key prefix."""
    app = Celery("somebody-else", set_as_current=False)
    app.conf.update(celery_config(mq.broker.url, result_expires_s=60))
    return app


def _declare(mq: Running, project: str, name: str, **more: object) -> str:
    answer = mq.post("/artifacts", {"project": project, "type": "doc", "name": name, "content": "x", **more})
    assert answer.status == 202
    return str(answer.json["id"])


def test_any_celery_client_reads_the_verdict_under_the_request_id(mq: Running, client: Celery) -> None:
    project = mq.project()
    approved, blocked = _declare(mq, project, "a"), _declare(mq, project, "b", base_version=3)

    found = [AsyncResult(request, app=client).get(timeout=60) for request in (approved, blocked)]

    assert [("approved", approved), ("blocked", blocked)] == [(f["verdict"], f["id"]) for f in found]
    assert mq.get(f"/requests/{approved}").json["result"] == found[0]["result"]


def test_a_request_that_failed_is_a_failed_task(mq: Running, client: Celery) -> None:
    project = mq.project()
    assert mq.call("DELETE", f"/projects/{project}").status in (200, 204)
    request = _declare(mq, project, "late")

    result = AsyncResult(request, app=client)
    with pytest.raises(Exception, match="archived"):
        result.get(timeout=60)

    assert result.state == "FAILURE"
    assert mq.get(f"/requests/{request}").json["state"] == "failed"


def test_a_client_may_wait_before_the_request_is_decided(mq: Running, client: Celery) -> None:
    project = mq.project()
    requests = [_declare(mq, project, f"n{i}") for i in range(20)]

    assert [AsyncResult(r, app=client).get(timeout=60)["verdict"] for r in requests] == ["approved"] * 20


def test_polling_answers_from_the_database_when_redis_has_forgotten_everything(mq: Running) -> None:
    request = _declare(mq, mq.project(), "kept")
    assert mq.get(f"/requests/{request}", prefer="wait=60").json["state"] == "succeeded"

    redis.Redis.from_url(mq.broker.url).flushall()

    assert mq.get(f"/requests/{request}").json["verdict"] == "approved"


def test_a_broker_that_has_forgotten_the_script_hears_it_again(mq: Running, client: Celery) -> None:
    project = mq.project()
    redis.Redis.from_url(mq.broker.url).script_flush()

    def is_there(number: int) -> bool:
        request = _declare(mq, project, f"again {number}")
        assert mq.get(f"/requests/{request}", prefer="wait=60").json["state"] == "succeeded"
        return bool(AsyncResult(request, app=client).state == "SUCCESS")

    numbers = itertools.count()
    wait_until(lambda: is_there(next(numbers)), "results are published again", 20)
