"""The ring as Celery's Redis transport stores it, made by hand: a ring is sent for every lone submission."""

from __future__ import annotations

import base64
import os
import socket
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from metaqore.queues import drain_task

_encode = msgspec.json.Encoder().encode
_ORIGIN = f"gen{os.getpid()}@{socket.gethostname()}"
#: Where a result would be sent; rings have none.
_REPLY_TO = str(uuid.uuid4())
_EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
_HEADERS: dict[str, Any] = {
    "lang": "py", "shadow": None, "eta": None, "expires": None, "group": None, "group_index": None, "retries": 0,
    "timelimit": [None, None], "parent_id": None, "argsrepr": "", "kwargsrepr": "", "ignore_result": True,
    "replaced_task_nesting": 0, "stamped_headers": None, "stamps": {},
}  # fmt: skip


def envelope(queue: str, ids: Sequence[str]) -> bytes:
    """Return a drain message as Celery's Redis transport stores it (message protocol 2, docs.celeryq.dev/internals).

    Celery's own ``send_task`` gives the same bytes but for its ids, and takes four times as long; a test holds the two
    to each other. The list it belongs on is that of the queue's name: there is no exchange that a wiped Redis could
    have forgotten.
    """
    task_id = str(uuid.uuid4())
    body = base64.b64encode(_encode([[list(ids)], {}, _EMBED]))
    return _encode(
        {
            "body": body.decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {
                **_HEADERS, "task": drain_task(queue), "id": task_id, "root_id": task_id, "origin": _ORIGIN,
            },
            "properties": {
                "correlation_id": task_id, "reply_to": _REPLY_TO, "argsrepr": "", "kwargsrepr": "",
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": 0, "body_encoding": "base64", "delivery_tag": str(uuid.uuid4()),
            },
        }
    )  # fmt: skip
