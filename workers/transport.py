"""kombu's Redis transport with one client for each connection pool, which survives what is no message.

kombu makes a new client for every message that it takes and every message that it acknowledges. Making one builds a
table of some three hundred callbacks; measured, that was a tenth of what a worker did for a lone request. And it waits
for Redis' answer to the note that a message was taken before the message is worked on.
"""

from __future__ import annotations

import time
from typing import Any

import structlog
from kombu.transport import redis, virtual
from kombu.utils.json import dumps

log = structlog.get_logger(__name__)


class QoS(redis.QoS):
    """Notes what was taken and what was acknowledged without waiting for the answers: each is read before the next.

    A message only says "look", and a message that is lost is rung again by the sweep, so nothing hangs on an answer;
    one that is an error still ends the connection, as it always has.
    """

    _connection: Any = None
    _owed = 0

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note a message as taken."""
        info = message.delivery_info
        kept = dumps([message._raw, info["exchange"], info["routing_key"]])  # type: ignore[no-untyped-call]
        self._send(
            ("ZADD", self._key(self.unacked_index_key), time.time(), delivery_tag),
            ("HSET", self._key(self.unacked_key), delivery_tag, kept),
        )
        virtual.QoS.append(self, message, delivery_tag)  # type: ignore[no-untyped-call]

    def ack(self, delivery_tag: str) -> None:
        """Forget a message that was worked on."""
        self._send(
            ("ZREM", self._key(self.unacked_index_key), delivery_tag),
            ("HDEL", self._key(self.unacked_key), delivery_tag),
        )
        virtual.QoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]

    def pipe_or_acquire(self, pipe: Any = None, client: Any = None) -> Any:
        """Give the pipeline with which a message is put back."""
        self._settle()
        return super().pipe_or_acquire(pipe, client)

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:
        """Put a message back."""
        self._settle()
        super().restore_by_tag(tag, client, leftmost)  # type: ignore[no-untyped-call]

    def _key(self, name: str) -> str:
        return f"{self.channel.global_keyprefix}{name}"

    def _send(self, *commands: tuple[Any, ...]) -> None:
        self._settle()
        if self._connection is None:
            # Never given back: it ends with the pool.
            self._connection = self.channel.pool.get_connection()
        try:
            self._connection.send_packed_command(self._connection.pack_commands(commands))
        except Exception:
            self._connection.disconnect()
            raise
        self._owed = len(commands)

    def _settle(self) -> None:
        """Read the answers that are still to come."""
        owed, self._owed = self._owed, 0
        if owed and self._connection.is_connected:
            try:
                for _ in range(owed):
                    self._connection.read_response()
            except Exception:
                self._connection.disconnect()
                raise


class Channel(redis.Channel):
    """A channel that keeps its client for as long as its pool lives."""

    QoS = QoS
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
