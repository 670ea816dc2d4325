"""The sealer of a system worker: a thread that looks five times a second whether anything is to be sealed.

A look is one query. No ring is needed for it, so that a lost one can make no checkpoint late, and the path on which
requests are decided carries nothing for it. Of several system workers the one with the lease seals. Where a look fails
nothing is lost: what is not sealed now is sealed later. A worker that stops seals what is there once more.
"""

from __future__ import annotations

from metaqore.audit.sealer import Sealer, build
from workers.looking import Looking

LOOK_EVERY_S = 0.2


def _make() -> Sealer:
    from workers.engine import engine

    here = engine()
    return build(here.settings, here.store, here.executor.owner)


_looking = Looking("sealer", LOOK_EVERY_S, "sealing_failed", _make, Sealer.run, once_more=True)
start, stop = _looking.start, _looking.stop
