"""Rate limits that all processes share: GCRA in Redis, atomic, any number of limits in one round trip.

The generic cell rate algorithm (ITU-T I.371) keeps one number for each limit: the theoretical arrival time, when the
next cell would be due at the steady rate. Redis' own clock is used, so that hosts need not agree on the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import redis

from metaqore.adapters.redis_results import client
from metaqore.errors import Unavailable
from metaqore.per_process import PerProcess
from metaqore.queues import KEY_PREFIX

#: A stopped Redis holds one caller for this long, and then none for a while (see ``api.limits``).
_TIMEOUT_S = 0.2
#: KEYS: the limits. ARGV, for each: µs between two cells, cells that may come at once, cells wanted.
#: Returns for each: cells granted, cells left, µs until there is one where none was granted.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local out = {}
for i = 1, #KEYS do
  local interval, burst, wanted = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local due = tonumber(redis.call('GET', KEYS[i]) or '0')
  if due < now then due = now end
  local free = math.max(0, math.floor((now + burst * interval - due) / interval + 0.000001))
  local granted = math.min(wanted, free)
  local wait = 0
  if granted > 0 then
    due = due + granted * interval
    redis.call('SET', KEYS[i], string.format('%.3f', due), 'PX', math.ceil((due - now) / 1000) + 1000)
  else
    wait = math.ceil(due + interval - burst * interval - now)
  end
  out[3 * i - 2], out[3 * i - 1], out[3 * i] = granted, free - granted, wait
end
return out
"""


class Wanted(msgspec.Struct, frozen=True):
    """Cells of one limit: ``per_minute`` at the steady rate, and as many at once after a minute of silence."""

    key: str
    per_minute: int
    cells: int


class Granted(msgspec.Struct, frozen=True):
    """What was given of what was wanted. ``wait_s`` is the time until there is one, where there was none."""

    cells: int
    left: int
    wait_s: float


class RedisLimits:
    """The shared counters. Connects at first use, and anew after a fork."""

    def __init__(self, url: str) -> None:
        self._script: PerProcess[Any] = PerProcess(
            lambda: client(url, timeout_s=_TIMEOUT_S, max_connections=8).register_script(_SCRIPT)
        )

    def take(self, wanted: Sequence[Wanted]) -> list[Granted]:
        """Take cells of each limit, as many as there are up to what is wanted: one round trip.

        Raises:
            Unavailable: Redis does not answer in time.
        """
        numbers = [n for w in wanted for n in (60_000_000 / w.per_minute, w.per_minute, w.cells)]
        try:
            found = self._script()(keys=[f"{KEY_PREFIX}limit:{w.key}" for w in wanted], args=numbers)
        except (redis.RedisError, OSError) as error:
            raise Unavailable(f"the shared limits cannot be asked ({type(error).__name__})") from error
        return [Granted(found[i], found[i + 1], found[i + 2] / 1e6) for i in range(0, len(found), 3)]
