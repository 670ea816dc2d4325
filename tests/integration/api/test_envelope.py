"""A ring that is made by hand is what Celery itself would have sent."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import redis
from celery import Celery
from kombu.entity import Queue

from api.envelope import envelope
from metaqore.embedded.broker import Broker
from metaqore.queues import KEY_PREFIX, QUEUES, celery_config, drain_task

#: What differs from message to message, or from process to process.
_IDS = {"id", "root_id", "origin", "correlation_id", "reply_to", "delivery_tag"}


def _comparable(raw: bytes) -> dict[str, Any]:
    message = json.loads(raw)
    message["body"] = json.loads(base64.b64decode(message["body"]))
    for part in ("headers", "properties"):
        message[part] = {name: "…" if name in _IDS else value for name, value in message[part].items()}
    return message


def test_a_ring_made_by_hand_is_the_message_that_celery_sends(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "broker", tmp_path / "broker.log")
    broker.start()
    try:
        app = Celery("reference", set_as_current=False)
        app.conf.update(celery_config(broker.url, result_expires_s=60))
        app.conf.task_queues = [Queue(name) for name in QUEUES]  # type: ignore[no-untyped-call]
        app.send_task(
            drain_task("psmp"), args=[["req_1"]], queue="psmp", ignore_result=True, argsrepr="", kwargsrepr=""
        )
        sent = redis.Redis.from_url(broker.url).lrange(f"{KEY_PREFIX}psmp", 0, -1)

        assert [_comparable(raw) for raw in sent] == [_comparable(envelope("psmp", ["req_1"]))]
    finally:
        broker.kill()
