"""What somebody who can write to Redis puts on the queues: nothing of it runs, and the audit log says so."""

from __future__ import annotations

import base64
import json
import pickle
import uuid
from pathlib import Path
from typing import Any

import redis

from metaqore.queues import KEY_PREFIX, drain_task
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

        wait_until(lambda: set(refused(mq)) == set(forged), "every forgery is audited", 20)
        created = mq.post("/projects", {"name": "p"}).json["id"]
        body = {"project": created, "type": "code", "name": "n", "content": 1}
        assert mq.post("/artifacts", body, prefer="wait=20").status == 201, "the worker works on"
        log = (mq.folder / "logs" / "worker.log").read_text()
    assert not touched.exists()
    assert "Traceback" not in log
    assert "touch x" not in log
