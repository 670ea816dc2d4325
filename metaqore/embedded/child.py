"""One child process: how it is described, started, watched and ended."""

from __future__ import annotations

import enum
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from metaqore.embedded.private_files import open_log
from metaqore.embedded.readiness import Probe, runs
from metaqore.errors import MetaQoreError

#: Names the run folder in the environment of every child, so that what is left of a session can be told from others.
MARKER = "SUPERVISOR_RUN_FOLDER"

_WRAPPER = Path(__file__).with_name("exec_child.py")


class StartFailed(MetaQoreError):
    """A process did not start."""

    code = "start_failed"


class Stage(enum.IntEnum):
    """What is stopped together. Stopping goes upwards, starting downwards."""

    WEB = 0
    CLOCK = 1
    WORKERS = 2
    BROKER = 3


@dataclass(frozen=True)
class StopStep:
    """One way to ask a process to end, and how many seconds it is given."""

    name: str
    ask: Callable[[], None]
    patience_s: float


class Unit(Protocol):
    """What the supervisor can run: a child process, or the broker."""

    @property
    def name(self) -> str: ...
    @property
    def stage(self) -> Stage: ...
    @property
    def log(self) -> Path: ...
    @property
    def pid(self) -> int | None:
        """The process, None before the start."""

    def start(self) -> None:
        """Start it; nothing where it runs already. Raises MetaQoreError or OSError."""

    def ended(self) -> str | None:
        """Return how it ended ("exit code 1", "signal SIGKILL"), None while it runs."""

    def ready(self) -> bool:
        """Return whether it can do its work; called only while it runs."""

    def stop_steps(self) -> Sequence[StopStep]:
        """Return the ways to ask it to end, gentlest first."""

    def kill(self) -> None:
        """End it at once, with all that belongs to it."""


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """One process line.

    ``stop`` is a sequence of (signal, seconds to wait); what outlives it is killed. ``env`` is the whole
    environment. The command runs in a session of its own, so Ctrl-C in a terminal does not reach it.
    """

    name: str
    argv: tuple[str, ...]
    stage: Stage
    env: Mapping[str, str]
    log: Path
    ready: Probe = runs
    stop: tuple[tuple[signal.Signals, float], ...] = ((signal.SIGTERM, 10.0),)
    parent_death_signal: signal.Signals = signal.SIGTERM


class Child:
    """A child process made from a ``ProcessSpec``. Start it from the thread that lives longest.

    Linux sends the parent-death signal when the *thread* that forked ends (prctl(2)), so starting children in a
    short-lived thread would end them with it.
    """

    def __init__(self, spec: ProcessSpec) -> None:
        self.spec = spec
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """The name of the process line."""
        return self.spec.name

    @property
    def stage(self) -> Stage:
        """What it is stopped together with."""
        return self.spec.stage

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.spec.log

    @property
    def pid(self) -> int | None:
        """The process, also the id of its session and process group; None before the start."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process; nothing where it runs already.

        Raises:
            OSError: no process could be made.
        """
        if self._process and self.ended() is None:
            return
        spec = self.spec
        wrapped = [sys.executable, "-I", "-S", str(_WRAPPER), str(os.getpid()), str(int(spec.parent_death_signal))]
        log = open_log(spec.log)
        try:
            self._process = subprocess.Popen(
                [*wrapped, *spec.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(spec.env),
                start_new_session=True,
                umask=0o077,
            )
        finally:
            os.close(log)

    def ended(self) -> str | None:
        """Return how it ended, None while it runs. What is left of its process group is killed."""
        process = self._process
        if process is None:
            return "never started"
        if process.returncode is None and _has_exited(process):
            # Before the reaping, while the zombie still reserves the pid: the group cannot be someone else's.
            self._kill_group()
            process.wait()
        return None if process.returncode is None else describe_exit(process.returncode)

    def ready(self) -> bool:
        """Ask the probe."""
        return self.pid is not None and self.spec.ready(self.pid)

    def stop_steps(self) -> Sequence[StopStep]:
        """Return one step per signal of the spec; each goes to the main process only.

        A signal to the group would end the pool processes under their task (reference: Celery loses the task).
        """
        return [
            StopStep(number.name, lambda number=number: self._send(number), patience)  # type: ignore[misc]
            for number, patience in self.spec.stop
        ]

    def kill(self) -> None:
        """SIGKILL to the process and its whole group."""
        if self._process and self._process.returncode is None:
            self._kill_group()

    def _send(self, number: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(number)

    def _kill_group(self) -> None:
        if self._process:
            # Nothing is left of it; macOS answers EPERM where only the zombie is.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


def _has_exited(process: subprocess.Popen[bytes]) -> bool:
    if not hasattr(os, "waitid"):
        return process.poll() is not None
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def describe_exit(code: int) -> str:
    """Return a ``Popen.returncode`` in words."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
