"""What goes wrong, at random from a seed: kill -9, stop, wipe."""

from __future__ import annotations

import collections
import random
import threading
import time

import redis

from tests.chaos.cluster import Cluster


class Nemesis:
    """Hurts the cluster every few seconds until told to stop."""

    def __init__(self, cluster: Cluster, seed: int, *, every_s: tuple[float, float] = (0.8, 2.5)) -> None:
        self._cluster = cluster
        self._random = random.Random(seed)
        self._every_s = every_s
        self.done: collections.Counter[str] = collections.Counter()
        self._acts = {
            "kill api": lambda: cluster.kill("api"),
            "kill solo worker": lambda: cluster.kill("psmp-solo"),
            "kill pool worker": lambda: cluster.kill("psmp-pool"),
            "kill pool child": cluster.kill_pool_child,
            "kill system worker": lambda: cluster.kill("system"),
            "kill beat": lambda: cluster.kill("beat"),
            "kill valkey": lambda: cluster.restart_broker(empty=False),
            "wipe valkey": lambda: cluster.restart_broker(empty=True),
            "flush valkey": self._flush,
            "stop valkey": lambda: cluster.stop_for(cluster.broker.pid, self._random.uniform(0.5, 3)),
            "stop solo worker": lambda: cluster.stop_for(cluster.children["psmp-solo"].pid, 4),
        }

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
        try:
            redis.Redis.from_url(self._cluster.broker.url, socket_timeout=1).flushall()
        except redis.RedisError:
            time.sleep(0)  # It is gone already.
