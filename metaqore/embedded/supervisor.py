"""Runs a list of processes: starts them in order, restarts what dies, stops them in order.

One thread, one loop. It knows nothing of what the processes do. Ask it to stop with SIGINT, SIGTERM or SIGHUP (or
``request_stop``): first time in order, with patience; second time at once.
"""

from __future__ import annotations

import os
import random
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Literal

from metaqore.embedded import leftovers
from metaqore.embedded.child import Stage, StartFailed, StopStep, Unit
from metaqore.embedded.private_files import tail, trim_log
from metaqore.errors import MetaQoreError

_TICK_S = 0.1
_IDLE_S = 1.0
_TRIM_EVERY_S = 30.0
_AFTER_KILL_S = 5.0
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


EventKind = Literal["started", "ready", "ended", "stopping", "stopped", "killed"]


@dataclass(frozen=True)
class Event:
    """Something that happened to a process; ``text`` is for people."""

    kind: EventKind
    name: str
    text: str


@dataclass(frozen=True)
class Backoff:
    """How long to wait before a process that died is started again.

    Exponential with jitter: the n-th time, between half and the whole of ``base_s * 2**(n-1)``, at most ``max_s``.
    A process that has run for ``stable_s`` counts as new.

    Source: AWS Architecture Blog, "Exponential Backoff and Jitter" (2015), "equal jitter".
    """

    base_s: float = 0.5
    max_s: float = 30.0
    stable_s: float = 60.0

    def delay_s(self, failures: int, jitter: float) -> float:
        """Return the wait in seconds after ``failures`` (≥ 1) deaths; ``jitter`` in [0, 1)."""
        whole: float = min(self.max_s, self.base_s * 2.0 ** min(failures - 1, 32))
        return whole * (0.5 + jitter / 2)


@dataclass
class _Slot:
    """A unit and what the supervisor knows about it. Times are of the monotonic clock."""

    unit: Unit
    failures: int = 0
    started_at: float = 0.0
    restart_at: float | None = None
    is_ready: bool = False
    steps: Iterator[StopStep] = field(default_factory=lambda: iter(()))
    next_step_at: float = 0.0


class Supervisor:
    """Run ``units`` until asked to stop.

    Args:
        units: in the order in which those of one stage are started.
        run_folder: where the record of the running processes is kept.
        on_event: told of each event, in the supervisor's thread.
        ready_timeout_s: how long all may take to become ready at the start.
        start_attempts: how often one may die before it was ready, at the start, until that is given up.
    """

    def __init__(
        self,
        units: Sequence[Unit],
        *,
        run_folder: Path,
        on_event: Callable[[Event], None],
        backoff: Backoff = Backoff(),
        ready_timeout_s: float = 120.0,
        start_attempts: int = 3,
    ) -> None:
        ordered = sorted(units, key=lambda unit: -unit.stage)
        self._slots = [_Slot(unit) for unit in ordered]
        self._run_folder = run_folder
        self._on_event = on_event
        self._backoff = backoff
        self._ready_timeout_s = ready_timeout_s
        self._start_attempts = start_attempts
        self._stop_requests = 0
        self._trim_at = 0.0
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)

    def request_stop(self) -> None:
        """Ask to stop; the second time, at once. May be called from any thread and from a signal handler."""
        self._stop_requests += 1
        with suppress(BlockingIOError):  # full: it is awake already
            os.write(self._wake_write, b"s")

    def run(self, on_ready: Callable[[], None]) -> None:
        """Start everything, call ``on_ready``, watch until asked to stop, stop everything.

        Must be called in the main thread.

        Raises:
            StartFailed: something could not be started; everything is stopped by then.
        """
        with self._signals():
            try:
                if self._start():
                    on_ready()
                while not self._stop_requests:
                    self._watch()
                    self._pause(self._until_next())
            finally:
                self._stop()

    def _start(self) -> bool:
        """Start all, the broker first; return False where asked to stop before all were ready."""
        deadline = time.monotonic() + self._ready_timeout_s
        for slot in self._slots:
            if self._stop_requests:
                return False
            self._start_one(slot)
        while not all(slot.is_ready for slot in self._slots):
            if self._stop_requests:
                return False
            self._watch()
            for slot in self._slots:
                is_late = time.monotonic() > deadline
                if not slot.is_ready and (is_late or slot.failures >= self._start_attempts):
                    raise self._start_failure(slot, is_late)
            self._pause(_TICK_S)
        return True

    def _start_failure(self, slot: _Slot, is_late: bool) -> StartFailed:
        unit = slot.unit
        what = f"was not ready within {self._ready_timeout_s:.0f} s" if is_late else f"ended {slot.failures} times"
        return StartFailed(f"{unit.name} {what}; the end of {unit.log}:\n{tail(unit.log)}", name=unit.name)

    def _start_one(self, slot: _Slot) -> None:
        slot.restart_at, slot.is_ready, slot.started_at = None, False, time.monotonic()
        try:
            slot.unit.start()
        except (MetaQoreError, OSError) as error:
            self._ended(slot, f"did not start: {error}")
            return
        self._record()
        self._tell("started", slot, f"pid {slot.unit.pid}")

    def _watch(self) -> None:
        """Look at every unit once."""
        now = time.monotonic()
        for slot in self._slots:
            if slot.restart_at is not None:
                if now >= slot.restart_at:
                    self._start_one(slot)
            elif (how := slot.unit.ended()) is not None:
                self._ended(slot, f"ended with {how} after {now - slot.started_at:.0f} s")
            elif not slot.is_ready and slot.unit.ready():
                slot.is_ready = True
                self._tell("ready", slot, f"after {time.monotonic() - slot.started_at:.1f} s")
            elif slot.failures and now - slot.started_at > self._backoff.stable_s:
                slot.failures = 0
        if now >= self._trim_at:
            self._trim_at = now + _TRIM_EVERY_S
            for slot in self._slots:
                with suppress(OSError):  # a full disk: the copy comes first, so nothing is lost
                    trim_log(slot.unit.log)

    def _ended(self, slot: _Slot, what: str) -> None:
        slot.failures += 1
        slot.is_ready = False
        wait = self._backoff.delay_s(slot.failures, random.random())
        slot.restart_at = time.monotonic() + wait
        self._tell("ended", slot, f"{what}; starting it again in {wait:.1f} s (log: {slot.unit.log})")

    def _until_next(self) -> float:
        now = time.monotonic()
        if any(not slot.is_ready and slot.restart_at is None for slot in self._slots):
            return _TICK_S
        return max(0.0, min([_IDLE_S, *(s.restart_at - now for s in self._slots if s.restart_at is not None)]))

    def _stop(self) -> None:
        """Stop stage after stage; units of one stage at the same time."""
        running = [slot for slot in self._slots if slot.started_at and slot.unit.ended() is None]
        for _, group in groupby(reversed(running), key=lambda slot: slot.unit.stage):
            pending = list(group)
            for slot in pending:
                slot.steps = iter(slot.unit.stop_steps())
                slot.next_step_at = 0.0
            while pending:
                pending = [slot for slot in pending if not self._is_stopped(slot)]
                if pending:
                    self._pause(_TICK_S)
        self._record()

    def _is_stopped(self, slot: _Slot) -> bool:
        """Bring the stopping of one unit forward; return whether that is over."""
        how = slot.unit.ended()
        if how is not None:
            self._tell("stopped", slot, how)
            return True
        now = time.monotonic()
        is_hard = self._stop_requests >= 2
        if now < slot.next_step_at and not is_hard:
            return False
        step = None if is_hard else next(slot.steps, None)
        if step is not None:
            slot.next_step_at = now + step.patience_s
            self._tell("stopping", slot, f"{step.name}, for up to {step.patience_s:.0f} s")
            step.ask()
            return False
        self._kill(slot)
        return True

    def _kill(self, slot: _Slot) -> None:
        slot.unit.kill()
        deadline = time.monotonic() + _AFTER_KILL_S
        while slot.unit.ended() is None and time.monotonic() < deadline:
            self._pause(0.02)
        self._tell("killed", slot, "SIGKILL")

    def _record(self) -> None:
        running = [slot.unit for slot in self._slots if slot.started_at and slot.unit.ended() is None]
        # The broker keeps its own state: the next start takes it over instead of ending it.
        pids = [(unit.name, unit.pid) for unit in running if unit.stage is not Stage.BROKER and unit.pid is not None]
        # A full disk must stop nothing that runs. The record is for the next start, after this process was killed.
        with suppress(OSError):
            leftovers.record(self._run_folder, pids)

    def _tell(self, kind: EventKind, slot: _Slot, text: str) -> None:
        # A terminal that is gone must not keep the rest from being stopped in order.
        with suppress(OSError):
            self._on_event(Event(kind, slot.unit.name, text))

    def _pause(self, seconds: float) -> None:
        """Wait for a signal, a death of a child, or the time."""
        if select.select([self._wake_read], [], [], seconds)[0]:
            os.read(self._wake_read, 4096)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(_number: int, _frame: FrameType | None) -> None:
            self.request_stop()

        def wake(_number: int, _frame: FrameType | None) -> None:
            pass  # the wake-up descriptor has been written to

        # nohup(1) ignores SIGHUP, and is to be obeyed.
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        numbers = [number for number in _STOP_SIGNALS if not (number is signal.SIGHUP and ignored)]
        before = {number: signal.signal(number, stop) for number in numbers}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, wake)
        descriptor = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(descriptor)
            for number, handler in before.items():
                signal.signal(number, handler)
