"""What one process lets happen at once, and how often one key may call."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from metaqore.errors import RateLimited

#: How many keys a process keeps a bucket for.
_BUCKETS = 10_000


class Slots:
    """A number of places that are never waited for: there is one, or there is none."""

    def __init__(self, places: int) -> None:
        self._free = threading.Semaphore(places)

    @contextlib.contextmanager
    def one(self) -> Iterator[bool]:
        """Hold a place inside the block; False where there was none."""
        got = self._free.acquire(blocking=False)
        try:
            yield got
        finally:
            if got:
                self._free.release()

    def take(self) -> bool:
        """Take a place for good, until ``give_back``."""
        return self._free.acquire(blocking=False)

    def give_back(self) -> None:
        """Give a place back."""
        self._free.release()


class RateLimit:
    """A token bucket for each key, in this process: with N processes a key may do up to N times as much.

    Args:
        per_minute: 0 switches it off.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._guard = threading.Lock()
        #: key id → (tokens left, when)
        self._buckets: dict[str, tuple[float, float]] = {}

    def spend(self, key_id: str) -> None:
        """Take one token of ``key_id``.

        Raises:
            RateLimited: there is none; says when there will be one.
        """
        if self._per_minute == 0:
            return
        rate = self._per_minute / 60
        with self._guard:
            now = self._clock()
            tokens, at = self._buckets.get(key_id, (float(self._per_minute), now))
            tokens = min(float(self._per_minute), tokens + (now - at) * rate)
            if tokens >= 1:
                if len(self._buckets) > _BUCKETS:
                    self._buckets.clear()
                self._buckets[key_id] = (tokens - 1, now)
                return
        seconds = max(1, round((1 - tokens) / rate))
        raise RateLimited(
            f"this key may call {self._per_minute} times a minute: wait {seconds} s", retry_after_s=seconds
        )
