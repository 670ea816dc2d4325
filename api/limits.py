"""How often somebody may call, over all processes."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import structlog

from metaqore.adapters.limits_redis import Granted, Wanted
from metaqore.errors import RateLimited, Unavailable

log = structlog.get_logger(__name__)

#: For how many limits a process keeps leases, how large one may be, and for how many seconds it is good.
_MAX_LEASES, _MAX_LEASE, _LEASE_S = 10_000, 256, 1.0
#: For how many seconds the shared counters are left alone after they did not answer, and what share of a limit a
#: process allows meanwhile.
_ALONE_S, _STRICTER = 1.0, 4
#: How long a caller waits for another one who is asking already, in seconds.
_PATIENCE_S = 0.01


class Limit(msgspec.Struct, frozen=True):
    """One kind of limit, as the ``RateLimit-Policy`` header names it. ``per_minute`` 0 is no limit."""

    name: str
    per_minute: int

    @property
    def lease(self) -> int:
        """How many calls are taken from the shared counter at once: what comes in a twentieth of a second."""
        return max(1, min(_MAX_LEASE, self.per_minute // 1200))

    def of(self, who: str) -> Claim:
        """Return the claim of ``who`` under this limit."""
        return Claim(self, f"{self.name}:{who}")


class Claim(msgspec.Struct, frozen=True):
    """Somebody under a limit."""

    limit: Limit
    key: str


class Shared(Protocol):
    """The counters that all processes share."""

    def take(self, wanted: Sequence[Wanted]) -> list[Granted]:
        """Take cells of each limit.

        Raises:
            Unavailable: they cannot be asked.
        """


class _Lease:
    """Calls that were taken from the shared counter and not used yet; or until when there are none.

    Taking one off a list is one step for the interpreter, so that no thread waits for another on the hot path.
    """

    __slots__ = ("blocked_until", "left", "tokens", "until")

    def __init__(self) -> None:
        #: Each is worth a call; its number says how many come after it.
        self.tokens: list[int] = []
        self.until = 0.0
        self.left = 0
        self.blocked_until = 0.0


class RateLimit:
    """Limits over all processes, at the price of a dictionary look-up for most calls.

    A process takes a lease of some calls from the shared counter and spends it by itself; what it has not spent within
    a second is given up. So the limit is never exceeded, and at most one lease for each process is lost. Where the
    shared counters cannot be asked, each process goes on by itself with a quarter of the limit: stricter, never open.
    """

    def __init__(self, shared: Shared, clock: Callable[[], float] = time.monotonic) -> None:
        self._shared = shared
        self._local = LocalLimits(clock)
        self._clock = clock
        self._guard = threading.Lock()
        #: Held by the one who asks for new leases.
        self._asking = threading.RLock()
        self._alone_until = 0.0
        self._leases: dict[str, _Lease] = {}
        #: Name of a limit → until when somebody is blocked under it: mostly nobody ever was.
        self.blocking_until: dict[str, float] = {}

    def spend(self, claims: Sequence[Claim]) -> int:
        """Count one call under each claim; return how many are left under the first.

        Raises:
            RateLimited: there is none left under one of them; says when there will be one.
        """
        left: int | None = None
        short = []
        now = self._clock()
        for claim in claims:
            lease = self._leases.get(claim.key)
            if lease is not None:
                if now < lease.until:
                    try:
                        token = lease.tokens.pop()
                    except IndexError:
                        pass
                    else:
                        left = lease.left + token if left is None else left
                        continue
                if now < lease.blocked_until:
                    raise _refused(claim.limit, lease.blocked_until - now)
            short.append(claim)
        if short:
            renewed = self._renew(short)
            left = renewed if left is None or short[0] is claims[0] else left
        return left or 0

    def check(self, claim: Claim) -> None:
        """Refuse who is known to have no call left; counts nothing.

        Raises:
            RateLimited: so it is.
        """
        lease = self._leases.get(claim.key)
        if lease is not None and lease.blocked_until > 0 and (wait := lease.blocked_until - self._clock()) > 0:
            raise _refused(claim.limit, wait)

    def _renew(self, short: Sequence[Claim]) -> int:
        """Take new leases, all in one round trip, and count a call under each; return what is left under the first."""
        wanted = [Wanted(c.key, c.limit.per_minute, c.limit.lease) for c in short]
        if self._asking.acquire(timeout=_PATIENCE_S):
            try:
                # Whoever asked before this one may have brought enough for it.
                if not any(self._is_empty(claim) for claim in short):
                    return self.spend(short)
                granted = self._take(wanted)
            finally:
                self._asking.release()
        else:
            # Redis is slow, and one caller who waits for it is enough.
            granted = [self._local.take(one) for one in wanted]
        now = self._clock()
        refused: list[RateLimited] = []
        with self._guard:
            if len(self._leases) > _MAX_LEASES:
                self._leases.clear()
            for claim, given in zip(short, granted, strict=True):
                lease = self._leases.get(claim.key)
                if lease is None or lease.until <= now:
                    lease = _Lease()
                if given.cells == 0:
                    lease.blocked_until = now + given.wait_s
                    until = self.blocking_until.get(claim.limit.name, 0.0)
                    self.blocking_until[claim.limit.name] = max(until, lease.blocked_until)
                    refused.append(_refused(claim.limit, given.wait_s))
                else:
                    lease.left, lease.until = given.left, now + _LEASE_S
                    lease.tokens.extend(range(given.cells - 1))
                self._leases[claim.key] = lease
        if refused:
            raise refused[0]
        return granted[0].left + granted[0].cells - 1

    def _is_empty(self, claim: Claim) -> bool:
        lease = self._leases.get(claim.key)
        if lease is None:
            return True
        now = self._clock()
        return not (lease.tokens and now < lease.until) and now >= lease.blocked_until

    def _take(self, wanted: Sequence[Wanted]) -> list[Granted]:
        if self._clock() >= self._alone_until:
            try:
                return self._shared.take(wanted)
            except Unavailable as error:
                self._alone_until = self._clock() + _ALONE_S
                log.warning("limits_not_shared", reason=error.message)
        return [self._local.take(one) for one in wanted]


class LocalLimits:
    """Token buckets of this process alone, each a quarter of the limit."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        #: key → (tokens left, when)
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, wanted: Wanted) -> Granted:
        """Take cells of one limit."""
        most = max(1.0, wanted.per_minute / _STRICTER)
        rate = most / 60
        with self._guard:
            now = self._clock()
            tokens, at = self._buckets.get(wanted.key, (most, now))
            tokens = min(most, tokens + (now - at) * rate)
            cells = min(wanted.cells, int(tokens))
            if len(self._buckets) > _MAX_LEASES:
                self._buckets.clear()
            self._buckets[wanted.key] = (tokens - cells, now)
        return Granted(cells, int(tokens) - cells, 0.0 if cells else (1 - tokens) / rate)


def _refused(limit: Limit, wait_s: float) -> RateLimited:
    seconds = max(1, math.ceil(wait_s))
    return RateLimited(
        f"{limit.per_minute} calls a minute are allowed for each {limit.name}: wait {seconds} s",
        retry_after_s=seconds, limit=limit.name,
    )  # fmt: skip
