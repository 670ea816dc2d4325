"""Readiness: can this process accept requests, and can it ring the queues?"""

from __future__ import annotations

import threading
import time
from typing import Any

import redis
import structlog

from metaqore.adapters.announcements import Announcements
from metaqore.adapters.redis_results import client
from metaqore.security.policy_source import PolicySource
from metaqore.store.views.health import HealthViews

log = structlog.get_logger(__name__)

#: Anybody may ask, so the database and the broker are asked at most once in this many seconds.
_FRESH_S = 0.5


class Readiness:
    """What was found when somebody last asked."""

    def __init__(
        self, views: HealthViews, announcements: Announcements, redis_url: str, policies: PolicySource
    ) -> None:
        self._policies = policies
        self._views = views
        self._announcements = announcements
        self._redis_url = redis_url
        self._guard = threading.Lock()
        self._until = 0.0
        self._report: dict[str, Any] = {}

    def report(self) -> dict[str, Any]:
        """Return ``status`` (ready, degraded, unavailable) and what was found, with ``ok`` and, where not, ``why``.

        Without the broker requests are still accepted; they are decided when it is back: degraded, not unavailable.
        So it is with a changed policy file that cannot be used: the policy before it holds.
        """
        with self._guard:
            if self._until < time.monotonic():
                self._report = self._look()
                self._until = time.monotonic() + _FRESH_S
            return self._report

    def _look(self) -> dict[str, Any]:
        database, broker = self._database(), self._broker()
        policy = self._policies.report()
        usable = broker["ok"] and policy["ok"]
        status = "unavailable" if not database["ok"] else "ready" if usable else "degraded"
        return {"status": status, "checks": {"database": database, "broker": broker, "policy": policy}}

    def _database(self) -> dict[str, Any]:
        try:
            return self._views.database()
        except Exception as error:
            # Strangers may ask: what the database said is for the log.
            log.warning("database_not_ready", reason=str(error))
            return {"ok": False, "why": "the database cannot be used; the log of this process says why"}

    def _broker(self) -> dict[str, Any]:
        connection = client(self._redis_url, timeout_s=0.3, max_connections=1)
        try:
            connection.ping()
        except redis.RedisError as error:
            return {
                "ok": False,
                "why": f"the broker does not answer ({type(error).__name__}): requests are accepted and wait",
            }
        finally:
            connection.close()
        return {"ok": True, "announcements": self._announcements.is_hearing}
