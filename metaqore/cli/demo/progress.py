"""What a person sees while the run goes on: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from metaqore.cli.demo.record import Record
from metaqore.embedded.supervisor import Event


class Display:
    """Shows acts one after another, each with what was last said in it. Its methods may be called from any thread."""

    def __init__(self, console: Console, record: Record) -> None:
        self._console = console
        self._record = record
        self._guard = threading.Lock()
        self._live = console.is_terminal
        self._bars = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[said]}", style="dim", markup=False, table_column=Column(no_wrap=True, ratio=1)),
            TimeElapsedColumn(),
            console=console,
            expand=True,
        )
        self._current: TaskID | None = None
        self._ready = 0

    def __enter__(self) -> Self:
        if self._live:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._bars.stop()

    @contextmanager
    def act(self, name: str) -> Iterator[None]:
        """Show a part of the run while it goes on, and time it."""
        with self._guard:
            if self._live:
                self._current = self._bars.add_task(name, total=None, said="")
            else:
                self._console.print(f"[{self._record.elapsed:5.1f} s] {name}", markup=False)
        with self._record.act(name):
            yield
        with self._guard:
            if self._current is not None:
                self._bars.update(self._current, total=1, completed=1)
                self._current = None

    def say(self, text: str) -> None:
        """Tell what happens in the present act."""
        with self._guard:
            if self._current is not None:
                self._bars.update(self._current, said=text)
            elif not self._live:
                self._console.print(f"          {text}", markup=False, highlight=False, soft_wrap=True)

    def count(self, done: int, total: int) -> None:
        """Show how far the present act is; on plain output, each quarter."""
        with self._guard:
            if self._current is not None:
                self._bars.update(self._current, completed=done, total=max(total, done + 1), said=f"{done} of {total}")
            elif not self._live and total >= 4 and done % (total // 4) == 0:
                self._console.print(f"          {done} of {total}", markup=False, highlight=False)

    def process(self, event: Event) -> None:
        """Show what a process does."""
        if event.kind == "ready":
            self._ready += 1
            self.say(f"{self._ready} processes are ready ({event.name} {event.text})")
        elif event.kind in ("ended", "killed"):
            self._record.facts.setdefault("deaths", []).append(f"{event.name} {event.text}")
            self.say(f"{event.name}: {event.text}")
