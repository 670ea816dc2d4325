"""The watchdog in a process whose main thread is stuck, or not: ``stuck_worker.py JOURNAL MODE``."""

import os
import signal
import sys
import threading
from types import FrameType

from workers import watchdog

journal, mode = sys.argv[1:]


def asked(number: int, _frame: FrameType | None) -> None:
    """Note a signal, as Celery does; whoever is stuck never comes to look at its notes."""
    with open(journal, "a") as out:
        out.write(f"{signal.Signals(number).name}\n")
    if mode == "comes back":
        os._exit(0)


for each in (signal.SIGTERM, signal.SIGQUIT):
    signal.signal(each, asked)
watchdog._LOOK_EVERY_S = 0.05
# Whoever comes back has time to, whatever else runs on this machine.
first = 60.0 if mode == "comes back" else 0.2
watchdog._WAYS = tuple((way, first) for way, _ in watchdog._WAYS)
threading.Thread(target=watchdog._watch, args=(frozenset({"psmp"}), 0), daemon=True).start()
while True:
    signal.pause()
