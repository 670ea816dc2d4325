"""Streams audit entries to sinks from a thread of a system worker; of several workers one is at each sink.

A look is one query. Where one fails nothing is lost: the cursor stands where it stood, and what was on its way when the
worker stopped is sent again by whoever looks next, where it is not recorded in time.
"""

from __future__ import annotations

from metaqore.delivery.streaming import Streamer
from workers.looking import Looking

LOOK_EVERY_S = 0.5


def _make() -> Streamer:
    from metaqore.bootstrap import streamer
    from workers.engine import engine

    return streamer(engine().settings, engine().store)


_looking = Looking("streamer", LOOK_EVERY_S, "audit_stream_failed", _make, Streamer.look, end=Streamer.close)
start, stop = _looking.start, _looking.stop
