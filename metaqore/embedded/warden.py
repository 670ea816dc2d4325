"""Ends a process whose keeper was killed and did not come back. ``guard`` starts it; the rest runs as a script.

``python -I -S warden.py PID SIGNAL PATIENCE_S [LOCK]``

A process that must outlive its keeper for a while (workers that finish their work need the broker) can have no
parent-death signal, and would stay for ever where nobody takes it over. The warden hears of the keeper's end by the end
of its input, the one pipe that only the keeper holds, and holds the process itself (pidfd_open(2)), so that it never
ends another one with the same pid. Other systems than Linux have no such thing: there, leftovers are ended, or taken
over, by the next ``metaqore up``.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path

#: How long the process may take to end by itself.
_END_S = 15.0


class Warden:
    """The keeper's end of a warden; ``close`` it when the process has ended or is given away.

    Args:
        pid: the warden's own process.
        pipe: its input. It stays open for as long as the keeper lives, even where nobody refers to this object.
    """

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid = pid
        self._pipe = pipe

    def close(self) -> None:
        """Dismiss it: the process that it guarded is left alone."""
        # Killed, not told: the end of its input means that the keeper is dead.
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._pipe)


def guard(
    pid: int, *, patience_s: float, number: signal.Signals = signal.SIGTERM, lock: Path | None = None
) -> Warden | None:
    """Have ``pid`` ended when this process is gone; None where the system cannot do that.

    Args:
        patience_s: how long after the end of this process.
        number: asks it to end; SIGKILL follows.
        lock: a file on which whoever takes the process over holds a shared lock (flock(2)): then it is left alone.
    """
    if not hasattr(os, "pidfd_open"):
        return None
    command = [sys.executable, "-I", "-S", __file__, str(pid), str(int(number)), str(patience_s)]
    read, write = os.pipe()
    try:
        own = os.posix_spawn(
            sys.executable,
            [*command, str(lock)] if lock else command,
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, read, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,  # Ctrl-C in the terminal is not for it
        )
    finally:
        os.close(read)
    return Warden(own, write)


def main(arguments: list[str]) -> None:
    """Wait for the end of the keeper or of the process, whichever comes first; end the process in the first case."""
    pid, number, patience_s, *lock = arguments
    with suppress(OSError):  # it has ended before it could be held
        process = os.pidfd_open(int(pid))
        if sys.stdin.fileno() not in _ready([sys.stdin.fileno(), process], None):
            return
        if not _ready([process], float(patience_s)):
            _end(process, signal.Signals(int(number)), Path(lock[0]) if lock else None)


def _end(process: int, number: signal.Signals, lock: Path | None) -> None:
    """End the process, unless somebody has taken it over; nobody can while it is being ended."""
    if lock is not None:
        held = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    for ask in (number, signal.SIGKILL):
        signal.pidfd_send_signal(process, ask)
        if _ready([process], _END_S):
            return


def _ready(descriptors: list[int], seconds: float | None) -> list[int]:
    """Return those that can be read: the end of an input, the end of a process. Empty after ``seconds``."""
    return select.select(descriptors, [], [], seconds)[0]


if __name__ == "__main__":
    main(sys.argv[1:])
