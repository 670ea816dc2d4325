"""The Celery result backend, written in one call for a whole batch, and the announcement to those who wait.

Keys and values are what Celery's own Redis backend reads, so ``AsyncResult(request_id, app=app)`` works in any Celery
client. It is a cache: the truth is the database, and nothing here may raise.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import redis
import structlog

from metaqore.adapters.authentic import Authentic
from metaqore.messages import State
from metaqore.queues import DONE_CHANNEL, result_key
from metaqore.requests.model import Finished

log = structlog.get_logger(__name__)

_STATUS = {State.SUCCEEDED: b"SUCCESS", State.CANCELLED: b"REVOKED"}
# To publish where nobody listens costs as much as to store: whoever listens is looked up once for the whole batch.
# Subscribers by pattern are not seen by that; Celery's clients are none.
_SCRIPT = """
local heard = {}
for _, channel in ipairs(redis.call('PUBSUB', 'CHANNELS')) do heard[channel] = true end
for i = 1, #KEYS - 1 do
  redis.call('SETEX', KEYS[i], ARGV[1], ARGV[i + 1])
  if heard[KEYS[i]] then redis.call('PUBLISH', KEYS[i], ARGV[i + 1]) end
end
redis.call('PUBLISH', KEYS[#KEYS], ARGV[#ARGV])
return 1
"""
_SHA = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()
#: After a failure Redis is left alone for this long, so that a stopped one does not slow every batch.
_PAUSE_S = 1.0


def client(url: str, *, timeout_s: float = 1.0, max_connections: int = 16) -> redis.Redis:
    """Return a client that never waits longer than ``timeout_s`` for an answer and never retries by itself."""
    pool = redis.BlockingConnectionPool.from_url(
        url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, socket_keepalive=True,
        health_check_interval=10, max_connections=max_connections, timeout=timeout_s, retry=None,
    )  # fmt: skip
    return redis.Redis(connection_pool=pool)


def lone_client(url: str, *, timeout_s: float = 1.0, protocol: int = 3) -> redis.Redis:
    """Return a client with one connection of its own, made now: half the cost of a call through a pool.

    Args:
        protocol: of Redis, 2 or 3.

    Raises:
        redis.RedisError: Redis cannot be reached.
    """
    return redis.Redis.from_url(
        url, single_connection_client=True, socket_timeout=timeout_s, socket_connect_timeout=timeout_s,
        socket_keepalive=True, health_check_interval=10, retry=None, protocol=protocol,
    )  # fmt: skip


class RedisResults:
    """See ``metaqore.requests.ports.Results``.

    A message on the done channel is stamped, for documents in it are handed to those who wait. It has one line with the
    organizations that have new events, separated by spaces, and one line ``id SP document`` for each finished request
    (a document has no newline). Of what may be in no cache it carries the id alone, and the result backend knows only
    that it is finished.

    Redis' answer to one call is read when the next is made: whoever publishes need not wait until a batch is stored.
    """

    def __init__(self, url: str, authentic: Authentic, *, expires_s: int) -> None:
        self._url = url
        self._authentic = authentic
        self._connection: Any = None
        self._is_owed = False
        self._guard = threading.Lock()
        self._expires_s = expires_s
        self._quiet_until = 0.0

    def publish(self, finished: Sequence[Finished], organizations: frozenset[str]) -> None:
        """Store and announce; a dead Redis is noted and otherwise ignored."""
        if time.monotonic() < self._quiet_until:
            return
        keys = [result_key(f.id) for f in finished] + [DONE_CHANNEL]
        lines = [f.id.encode() + b" " + (b"" if f.no_cache else f.document) for f in finished]
        done = self._authentic.stamped(b"\n".join([" ".join(organizations).encode(), *lines]))
        values: list[bytes | int] = [self._expires_s, *map(_meta, finished), done]
        try:
            with self._guard:
                self._send(len(keys), *keys, *values)
        except (redis.RedisError, OSError) as error:
            self._quiet_until = time.monotonic() + _PAUSE_S
            log.warning("results_not_published", requests=len(finished), reason=type(error).__name__)

    def _send(self, *arguments: Any) -> None:
        try:
            if self._is_owed:
                self._connection.read_response()
                self._is_owed = False
            if self._connection is None:
                self._connection = lone_client(self._url).connection
                # The first call of a connection brings the script along and is waited for.
                self._connection.send_command("EVAL", _SCRIPT, *arguments)
                self._connection.read_response()
            else:
                self._connection.send_command("EVALSHA", _SHA, *arguments)
                self._is_owed = True
        except (redis.RedisError, OSError):
            broken, self._connection, self._is_owed = self._connection, None, False
            if broken is not None:
                broken.disconnect()
            raise


def _meta(finished: Finished) -> bytes:
    """Return what Celery stores for a result; the document is embedded as it was encoded."""
    status = _STATUS.get(finished.state)
    if status is None:
        error = msgspec.json.decode(finished.document).get("error") or {}
        result = msgspec.json.encode(
            {"exc_type": "RequestFailed", "exc_message": [error.get("message", "")], "exc_module": "metaqore.errors"}
        )
        status = b"FAILURE"
    elif finished.no_cache:
        result = msgspec.json.encode({"id": finished.id, "state": finished.state})
    else:
        result = finished.document
    rest = b',"traceback":null,"children":[],"date_done":null,"task_id":"' + finished.id.encode()
    return b'{"status":"' + status + b'","result":' + result + rest + b'"}'
