"""Makes Redis forget results: the keys, and what its append-only file still says of them."""

from __future__ import annotations

import time
from collections.abc import Sequence

import redis

from metaqore.adapters.redis_results import client
from metaqore.errors import Unavailable
from metaqore.queues import result_key

_CHUNK = 500


def forget_results(url: str, requests: Sequence[str], *, wait_s: float = 60.0) -> int:
    """Delete the results of requests and have the append-only file rewritten; return how many were there.

    Raises:
        Unavailable: Redis cannot be asked, or did not rewrite its file in time.
    """
    try:
        broker = client(url, timeout_s=5.0)
        gone = 0
        for at in range(0, len(requests), _CHUNK):
            keys = [result_key(request) for request in requests[at : at + _CHUNK]]
            gone += int(broker.delete(*keys))
        _rewrite(broker, wait_s)
        return gone
    except redis.RedisError as error:
        raise Unavailable(f"Redis cannot be made to forget: {error}") from error


def _rewrite(broker: redis.Redis, wait_s: float) -> None:
    """Have what is on the disk written anew from what is in memory: append-only file and snapshot."""
    until = time.monotonic() + wait_s
    if int(_persistence(broker).get("aof_enabled", 0)):
        broker.bgrewriteaof()
        _wait(broker, ("aof_rewrite_in_progress", "aof_rewrite_scheduled"), until)
    if _persistence(broker).get("rdb_last_save_time") and broker.config_get("save").get("save"):
        broker.bgsave()
        _wait(broker, ("rdb_bgsave_in_progress",), until)


def _wait(broker: redis.Redis, names: Sequence[str], until: float) -> None:
    while any(int(_persistence(broker).get(name, 0)) for name in names):
        if time.monotonic() > until:
            raise Unavailable("Redis did not rewrite its files in time: run the command again")
        time.sleep(0.05)


def _persistence(broker: redis.Redis) -> dict[str, int]:
    found: dict[str, int] = broker.info("persistence")
    return found
