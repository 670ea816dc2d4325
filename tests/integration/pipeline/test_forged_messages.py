"""What somebody who can write to Redis puts on the queues: nothing of it runs, and the audit log says so."""

from __future__ import annotations

import base64
import json
import pickle
import uuid
from functools import partial
from pathlib import Path
from typing import Any

import redis

from metaqore.queues import DONE_CHANNEL, KEY_PREFIX, drain_task
from metaqore.store.engine import Database
from tests.running import Running, running, wait_until


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def envelope(task: str, body: bytes, content_type: str = "application/json") -> bytes:
    """Return a message as kombu stores it."""
    properties = {
        "correlation_id": uuid.uuid4().hex, "delivery_mode": 2, "delivery_tag": uuid.uuid4().hex, "priority": 0,
        "delivery_info": {"exchange": "", "routing_key": "psmp"}, "body_encoding": "base64",
    }  # fmt: skip
    headers = {"task": task, "id": uuid.uuid4().hex, "lang": "py", "argsrepr": "", "kwargsrepr": ""}
    message = {"body": base64.b64encode(body).decode(), "content-encoding": "utf-8", "content-type": content_type,
               "headers": headers, "properties": properties}  # fmt: skip
    return json.dumps(message).encode()


def refused(mq: Running) -> dict[str, int]:
    """Return reason → how many messages the audit log says were refused."""
    database = Database(mq.settings.dsn)
    with database.read() as connection:
        rows = connection.exec_driver_sql(
            "SELECT body FROM audit_entries WHERE tag = 'security:message:refused' ORDER BY seq"
        ).fetchall()
    database.close()
    found: dict[str, int] = {}
    for (entry,) in rows:
        told = json.loads(entry)["about"]
        found[told["outcome"]] = found.get(told["outcome"], 0) + int(told["details"]["count"])
    return found


def test_forged_messages_run_nothing_and_are_audited(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    forged = {
        "unknown_task": envelope("os.system", b'[["touch x"], {}, {}]'),
        "content_type": envelope(drain_task("psmp"), pickle.dumps(Bomb(touched)), "application/x-python-serialize"),
        "arguments": envelope(drain_task("psmp"), b'[[{"cmd": "x"}], {}, {}]'),
        "too_large": envelope(drain_task("psmp"), b"[" + b" " * 1_000_000 + b"]"),
        "malformed": b"\x80\x04not an envelope",
    }
    with running(tmp_path, queues=("psmp",)) as mq:
        broker = redis.Redis.from_url(mq.broker.url)
        for message in forged.values():
            broker.lpush(f"{KEY_PREFIX}psmp", message)

        wait_until(lambda: set(refused(mq)) == set(forged), "every forgery is audited", 60)
        order_about(mq, broker)
        open_request = announce_a_verdict(mq, broker)
        wait_until(lambda: set(refused(mq)) == {*forged, "order", "forged"}, "so are orders and announcements", 60)
        created = mq.post("/projects", {"name": "p"}).json["id"]
        body = {"project": created, "type": "code", "name": "n", "content": 1}
        assert mq.post("/artifacts", body, prefer="wait=60").status == 201, "the worker works on"
        for prefer in ("wait=1", None):
            told = mq.get(f"/requests/{open_request}", prefer=prefer).json
            assert (told["state"], told["verdict"]) == ("accepted", None), "a verdict that nobody gave"
        assert mq.children["worker"].ended() is None
        log = (mq.folder / "logs" / "worker.log").read_text()
    assert not touched.exists()
    assert "Traceback" not in log
    assert "touch x" not in log


def order_about(mq: Running, broker: redis.Redis) -> None:
    """Send every order of Celery's remote control that would change what the worker does, and some of no shape."""
    orders: list[dict[str, Any]] = [
        {"method": "shutdown"}, {"method": "cancel_consumer", "arguments": {"queue": "psmp"}},
        {"method": "rate_limit", "arguments": {"task_name": drain_task("psmp"), "rate_limit": "1/h"}},
        {"method": "revoke", "arguments": {"task_id": ["x"], "terminate": True, "signal": "KILL"}},
        {"method": "pool_restart", "arguments": {"modules": ["os"]}}, {"method": "touch x"},
    ]  # fmt: skip
    channel = f"{KEY_PREFIX}/0.celery.pidbox"
    for order in orders:
        said = envelope("", json.dumps({**order, "destination": None}).encode())
        wait_until(partial(broker.publish, channel, said), "the worker hears", 60)
    assert broker.publish(channel, envelope("", pickle.dumps({"method": "shutdown"}), "application/x-python-serialize"))


def announce_a_verdict(mq: Running, broker: redis.Redis) -> str:
    """Say that a request which nobody has decided was approved; return its id."""
    request = str(mq.post("/security/assess", {"content": "text"}).json["id"])
    document = json.dumps({"id": request, "state": "succeeded", "verdict": "approved"}).encode()
    wait_until(lambda: mq.get("//readyz").json["checks"]["broker"].get("announcements"), "the API listens", 60)
    for stamp in (b"", b"\0" * 28):
        broker.publish(DONE_CHANNEL, stamp + b"\n" + request.encode() + b" " + document)
    return request
