"""Which messages a worker takes from the broker: rings of ours, small, as JSON, and asking for nothing more.

Whoever can write to Redis must gain nothing by it. A message is no command: the work is in the database, where it was
accepted with its author. So all that can be forged is a ring, and a ring too many does no harm.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from metaqore.queues import QUEUES, drain_task

#: Larger than any ring: 64 ids and what Celery adds.
MAX_BODY_BYTES = 16_384
FIRE_TASK = "metaqore.system.fire"
_JSON, _UTF8 = "application/json", "utf-8"
_DRAINS = frozenset(drain_task(queue) for queue in QUEUES)
_MAX_IDS, _MAX_ID = 64, 64


class _Embedded(msgspec.Struct):
    """What Celery sends beside the arguments: what is to run after a task. A ring is followed by nothing."""

    callbacks: list[Any] | None = None
    errbacks: list[Any] | None = None
    chain: list[Any] | None = None
    chord: Any = None


_body = msgspec.json.Decoder(tuple[list[Any], dict[str, Any], _Embedded]).decode


def refusal(message: Any, firings: Collection[tuple[str, float]]) -> str | None:
    """Return why a message is not taken, or None where it is a ring.

    Args:
        message: kombu's, not decoded yet.
        firings: (name, seconds) of every schedule of this installation.
    """
    headers, body = message.headers, message.body
    name = headers.get("task") if isinstance(headers, dict) else None
    if not isinstance(name, str) or (name != FIRE_TASK and name not in _DRAINS):
        return "unknown_task"
    if message.content_type != _JSON or (message.content_encoding or _UTF8).lower() != _UTF8:
        return "content_type"
    if not isinstance(body, str | bytes) or len(body) > MAX_BODY_BYTES:
        return "too_large"
    try:
        arguments, named, after = _body(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "malformed"
    if named or after.callbacks or after.errbacks or after.chain or after.chord:
        return "arguments"
    fits = _is_firing(arguments, firings) if name == FIRE_TASK else _is_ring(arguments)
    return None if fits else "arguments"


def _is_ring(arguments: list[Any]) -> bool:
    if not arguments:
        return True
    ids = arguments[0]
    if len(arguments) > 1 or not isinstance(ids, list) or len(ids) > _MAX_IDS:
        return False
    return all(isinstance(one, str) and len(one) <= _MAX_ID for one in ids)


def _is_firing(arguments: list[Any], firings: Collection[tuple[str, float]]) -> bool:
    if len(arguments) != 2 or not isinstance(arguments[0], str) or not isinstance(arguments[1], int | float):
        return False
    return (arguments[0], arguments[1]) in firings
