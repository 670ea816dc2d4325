"""The one place that asks the time. Times are integers, milliseconds since the epoch, UTC."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache

_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_000


def now_ms() -> int:
    """Return the wall clock in milliseconds since 1970-01-01T00:00:00Z."""
    return time.time_ns() // 1_000_000


# A batch has a few times and many uses of each.
@lru_cache(maxsize=1024)
def to_rfc3339(ms: int) -> str:
    """Return ``ms`` as RFC 3339 UTC with milliseconds, e.g. ``2026-01-02T03:04:05.678Z``.

    The years are 1 to 9999; what somebody sent beyond them, by an offset or by rounding, is shown as the nearest.
    """
    ms = min(max(ms, _FIRST), _LAST)
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_rfc3339(text: str) -> int:
    """Return milliseconds since the epoch for an RFC 3339 time.

    Raises:
        ValueError: not an RFC 3339 time, or one without an offset.
    """
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset: end it with Z")
    return int(moment.timestamp() * 1000)
