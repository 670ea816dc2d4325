"""What beat goes by: its own settings. Redis says only when each entry was last fired, and which beat is at work.

Redbeat takes what to fire from Redis, and whoever can write there could have anything sent, or stop every schedule with
one value that cannot be read, for good: beat would end at it each time it is started.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import redis
import structlog
from celery.beat import ScheduleEntry
from redbeat import RedBeatScheduler

from metaqore.adapters.redis_results import client
from metaqore.queues import KEY_PREFIX

log = structlog.get_logger(__name__)

#: Name of an entry → when it was last fired, in whole seconds since the epoch.
FIRED = f"{KEY_PREFIX}beat:fired"
_TIMEOUT_S = 5.0


class Timetable(RedBeatScheduler):
    """Redbeat's lock, so that one beat works at a time, around entries that are kept here."""

    Entry = ScheduleEntry

    def setup_schedule(self) -> None:
        """Make the entries, each with the time at which it was last fired."""
        self._redis = client(self.app.conf.redbeat_redis_url, timeout_s=_TIMEOUT_S, max_connections=2)
        self._drop_lock_that_never_ends()
        fired = self._fired()
        self._entries: dict[str, ScheduleEntry] = {
            name: self._maybe_entry(name, {**entry, "last_run_at": fired.get(name)})
            for name, entry in self.app.conf.beat_schedule.items()
        }

    @property
    def schedule(self) -> dict[str, ScheduleEntry]:
        """The entries by name."""
        return self._entries

    def reserve(self, entry: ScheduleEntry) -> ScheduleEntry:
        """Note that an entry is fired now, and return what comes after it."""
        following = self._entries[entry.name] = next(entry)
        try:
            self._redis.hset(FIRED, entry.name, str(int(following.last_run_at.timestamp())))
        except redis.RedisError as error:
            # It is fired a little early after the next start; each firing counts once anyhow.
            log.warning("firing_not_remembered", name=entry.name, reason=type(error).__name__)
        return following

    def _fired(self) -> dict[str, datetime]:
        try:
            found: dict[Any, Any] = self._redis.hgetall(FIRED)
        except redis.ResponseError:
            # It is no hash, so nobody here wrote it.
            self._redis.delete(FIRED)
            return {}
        now, times = time.time(), {}
        for name, value in found.items():
            # Not later than now, or the entry would not be fired before then.
            if value.isdigit() and len(value) < 12 and int(value) <= now:
                times[name.decode(errors="replace")] = datetime.fromtimestamp(int(value), UTC)
        return times

    def _drop_lock_that_never_ends(self) -> None:
        """Delete a lock that no beat can have taken: each takes it for ``redbeat_lock_timeout`` seconds at most."""
        conf = self.app.redbeat_conf
        left_ms: Any = self._redis.pttl(conf.lock_key)
        if left_ms == -1 or left_ms > conf.lock_timeout * 1000:
            log.warning("lock_of_nobody_dropped", key=conf.lock_key)
            self._redis.delete(conf.lock_key)
