"""Whether somebody who is being answered for a long while may still be: keys are revoked while a stream is open."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from api.door import Door
from metaqore.errors import Forbidden, MetaQoreError, Unauthenticated

T = TypeVar("T")

#: Seconds between two looks.
LOOK_S = 1.0


def is_welcome(here: Door, authorization: str | None) -> bool | None:
    """Tell whether a caller may go on; None where that cannot be known now, and nothing may be sent meanwhile."""
    try:
        here.stops.check(here.keys.authenticate(authorization))
    except (Unauthenticated, Forbidden):
        return False
    except MetaQoreError:
        return None
    return True


def while_welcome(here: Door, authorization: str | None, pieces: Iterable[T]) -> Iterator[T]:
    """Yield ``pieces`` for as long as the caller may have them, looked at every second; then raise.

    Raises:
        Unauthenticated: the caller's key or token has ended.
        Stopped: the caller was stopped.
        Unavailable: nobody can say.
    """
    looked = time.monotonic()
    for piece in pieces:
        if time.monotonic() - looked >= LOOK_S:
            here.stops.check(here.keys.authenticate(authorization))
            looked = time.monotonic()
        yield piece
