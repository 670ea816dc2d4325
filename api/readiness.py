"""Readiness: can this process accept requests, and can it ring the queues?"""

from __future__ import annotations

import threading
import time
from typing import Any

import redis
import structlog

from api.door import Door
from metaqore.adapters.redis_results import client

log = structlog.get_logger(__name__)

#: Anybody may ask, so the database and the broker are asked at most once in this many seconds.
_FRESH_S = 0.5
_guard = threading.Lock()
_last: tuple[float, dict[str, Any]] | None = None


def readiness(door: Door) -> dict[str, Any]:
    """Return ``status`` (ready, degraded, unavailable) and what was found, each with ``ok`` and, where not, ``why``.

    Without the broker requests are still accepted; they are decided when it is back, hence degraded, not unavailable.
    """
    global _last
    with _guard:
        if _last is None or _last[0] < time.monotonic():
            _last = (time.monotonic() + _FRESH_S, _look(door))
        return _last[1]


def _look(door: Door) -> dict[str, Any]:
    database, broker = _database(door), _broker(door)
    status = "unavailable" if not database["ok"] else "ready" if broker["ok"] else "degraded"
    return {"status": status, "checks": {"database": database, "broker": broker}}


def _database(door: Door) -> dict[str, Any]:
    try:
        found = door.views.health.database()
    except Exception as error:
        # Strangers may ask: what the database said is for the log.
        log.warning("database_not_ready", reason=str(error))
        return {"ok": False, "why": "the database cannot be used; the log of this process says why"}
    if not found["ok"]:
        found["why"] = "the schema is not that of this release: run `metaqore db upgrade`"
    return found


def _broker(door: Door) -> dict[str, Any]:
    connection = client(door.settings.redis_url, timeout_s=0.3, max_connections=1)
    try:
        connection.ping()
    except redis.RedisError as error:
        return {
            "ok": False,
            "why": f"the broker does not answer ({type(error).__name__}): requests are accepted and wait",
        }
    finally:
        connection.close()
    return {"ok": True, "announcements": door.announcements.is_hearing}
