"""kombu's Redis transport with one client for each connection pool, which survives what is no message.

kombu makes a new client for every message that it takes and every message that it acknowledges. Making one builds a
table of some three hundred callbacks; measured, that was a tenth of what a worker did for a lone request.
"""

from __future__ import annotations

from typing import Any

import structlog
from kombu.transport import redis

log = structlog.get_logger(__name__)


class Channel(redis.Channel):
    """A channel that keeps its client for as long as its pool lives."""

    _kept: tuple[Any, Any] | None = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            # Each of these owns a connection of its own.
            return super()._create_client(asynchronous=True)  # type: ignore[no-untyped-call]
        pool = self.pool
        if self._kept is None or self._kept[0] is not pool:
            self._kept = (pool, super()._create_client())  # type: ignore[no-untyped-call]
        return self._kept[1]

    def _brpop_read(self, **options: Any) -> Any:
        """Take one message. What is not even an envelope is gone with this, and must not take the worker with it."""
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            from workers.engine import refused

            log.warning("envelope_refused", reason=type(error).__name__)
            refused().note("", "malformed")
            return True


class Transport(redis.Transport):
    """See ``Channel``."""

    Channel = Channel
