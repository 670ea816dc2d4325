"""What goes wrong, at random from a seed: kill -9, stop, wipe."""

from __future__ import annotations

import collections
import contextlib
import random
import threading
from collections.abc import Callable

import redis

from tests.chaos.cluster import Cluster


class Nemesis:
    """Hurts the cluster every few seconds until told to stop."""

    def __init__(self, cluster: Cluster, seed: int, *, every_s: tuple[float, float] = (0.8, 2.5)) -> None:
        self._cluster = cluster
        self._random = random.Random(seed)
        self._every_s = every_s
        self.done: collections.Counter[str] = collections.Counter()
        self._acts: dict[str, Callable[[], None]] = {
            "kill api": lambda: cluster.kill("api"),
            "stop api": lambda: cluster.stop_for(cluster.children["api"].pid, 2),
            "kill solo worker": lambda: cluster.kill("psmp-solo"),
            "kill pool worker": lambda: cluster.kill("psmp-pool"),
            "kill pool child": cluster.kill_pool_child,
            "term solo worker": lambda: cluster.term("psmp-solo"),
            # Longer than its lease.
            "stop solo worker": lambda: cluster.stop_for(cluster.children["psmp-solo"].pid, 4),
            "kill other worker": lambda: cluster.kill("others"),
            "kill beat": lambda: cluster.kill("beat"),
            "kill valkey": lambda: cluster.restart_broker(empty=False),
            "wipe valkey": lambda: cluster.restart_broker(empty=True),
            "flush valkey": self._flush,
            "stop valkey": lambda: cluster.stop_for(cluster.broker.pid, self._random.uniform(0.5, 3)),
            "cut power": cluster.cut_power,
        }
        if cluster.postgres is not None:
            self._acts["crash postgres"] = cluster.restart_postgres

    def run(self, stop: threading.Event) -> None:
        """Act until told to stop; every act is done once before one is repeated."""
        names: list[str] = []
        while not stop.wait(self._random.uniform(*self._every_s)):
            if not names:
                names = self._random.sample(sorted(self._acts), len(self._acts))
            name = names.pop()
            self._acts[name]()
            self.done[name] += 1

    def _flush(self) -> None:
        # Where it is gone there is nothing to flush.
        with contextlib.suppress(redis.RedisError):
            redis.Redis.from_url(self._cluster.broker.url, socket_timeout=1).flushall()
