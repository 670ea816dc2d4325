"""Celery's remote control, of which workers answer what only asks."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from celery import Celery
from celery.worker import control

from metaqore.queues import celery_config
from workers.mailbox import ANSWERED, Commands

#: Celery's own commands, whatever another test has put in their place.
CELERYS = dict(control.Panel.data)


@pytest.mark.parametrize("name", [*sorted({*CELERYS} - {*ANSWERED, "conf"}), "no such command"])
def test_an_order_is_refused_and_counted(name: str) -> None:
    refused: list[bool] = []
    commands = Commands(lambda: refused.append(True))

    answer = commands[name](SimpleNamespace(), queue="psmp", task_id=["x"])

    assert answer == {"error": "workers take no orders over the broker"}
    assert refused == [True]


def test_orders_that_stop_or_change_a_worker_are_no_questions() -> None:
    orders = {"shutdown", "cancel_consumer", "add_consumer", "rate_limit", "time_limit", "revoke", "terminate",
              "pool_restart", "pool_grow", "pool_shrink", "autoscale", "election", "hello", "memdump"}  # fmt: skip

    assert not orders & Commands(lambda: None).keys()


def test_the_settings_that_a_worker_shows_hold_no_password() -> None:
    app = Celery("shown", set_as_current=False)
    app.conf.update(celery_config("redis://:s3cr3t-of-the-broker@127.0.0.1:6379/0", result_expires_s=60))

    shown = Commands(lambda: None)["conf"](SimpleNamespace(app=app))

    assert shown["redbeat_redis_url"] == "redis://:**@127.0.0.1:6379/0"
    assert shown["task_acks_late"] is True
    assert "s3cr3t-of-the-broker" not in str(shown)
