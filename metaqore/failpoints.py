"""Failpoints: places where a test may make the process die, raise or hang.

``METAQORE_FAILPOINT=name:action[:probability[:seed]]``, several separated by commas. Actions: ``kill`` (SIGKILL to
this process), ``raise``, ``hang`` (30 s, or until ``go_on`` is set), ``delay`` (0.2 s), ``skip`` (``hit`` returns
True).
Costs one dictionary look-up when off.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from dataclasses import dataclass

from metaqore.errors import MetaQoreError, SettingsError

ACTIONS = frozenset({"kill", "raise", "hang", "delay", "skip"})
NAMES = frozenset(
    """
    submit.before_tx submit.after_insert submit.before_commit submit.after_commit
    relay.before_publish relay.after_publish relay.before_mark
    worker.before_claim worker.after_claim worker.mid_work worker.before_finish_tx worker.in_finish_tx
    worker.after_finish_commit worker.before_ack heartbeat.skip
    webhook.before_send webhook.after_send webhook.before_mark
    audit.before_seal audit.before_sign audit.after_sign audit.in_seal_tx audit.before_seal_commit
    audit.after_seal_commit audit.after_witness scheduler.after_fire
    sink.before_send sink.after_send sink.before_commit
    drain.off sweep.off
    """.split()
)


class FailpointError(MetaQoreError):
    """A failpoint raised."""


@dataclass(slots=True)
class _Failpoint:
    action: str
    probability: float
    random: random.Random


def _parse(text: str) -> dict[str, _Failpoint]:
    found: dict[str, _Failpoint] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        parts = item.split(":")
        name, action = parts[0], parts[1] if len(parts) > 1 else ""
        if name not in NAMES or action not in ACTIONS:
            raise SettingsError(
                f"METAQORE_FAILPOINT={item!r}: expected name:action[:probability[:seed]]; "
                f"names: {', '.join(sorted(NAMES))}; actions: {', '.join(sorted(ACTIONS))}"
            )
        probability = float(parts[2]) if len(parts) > 2 else 1.0
        found[name] = _Failpoint(action, probability, random.Random(int(parts[3]) if len(parts) > 3 else 0))
    return found


#: Ends what hangs.
go_on = threading.Event()
_active = _parse(os.environ.get("METAQORE_FAILPOINT", ""))


def hit(name: str) -> bool:
    """Do what the failpoint ``name`` is set to; return True where the caller should skip the step."""
    point = _active.get(name)
    if point is None or point.random.random() >= point.probability:
        return False
    if point.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if point.action == "raise":
        raise FailpointError(f"failpoint {name}")
    if point.action == "hang":
        go_on.wait(300)
        return False
    if point.action == "delay":
        time.sleep(0.2)
        return False
    return True
