"""What strangers can cause at will, in the audit log: all of it counted, little of it written.

The first of a kind is written within a second; what follows is counted and written once a minute, so that a flood is
one entry a minute and cannot fill the log.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import msgspec
import structlog

from metaqore.clock import now_ms
from metaqore.messages import AuditNote
from metaqore.per_process import thread
from metaqore.requests.catalogue import Catalogue
from metaqore.requests.ports import Store
from metaqore.requests.recorder import Recorder

log = structlog.get_logger(__name__)

#: Between two entries about one kind, in milliseconds.
WINDOW_MS = 60_000
_LOOK_EVERY_S = 0.5
#: Kinds that are counted apart; what is beyond is counted together.
MAX_KINDS = 1000

Kind = TypeVar("Kind", bound=Hashable)


class Count(msgspec.Struct):
    """How often something happened between ``since`` and ``until`` (ms) and is not written yet."""

    since: int
    until: int
    n: int = 0
    written_at: int | None = None


class Counted(Generic[Kind]):
    """One per process and purpose. A subclass says what an entry about a kind looks like."""

    #: Who is named as the author of the entries; also the name of the thread.
    actor: str

    def __init__(self, store: Store, clock: Callable[[], int] = now_ms) -> None:
        self._store = store
        self._clock = clock
        self._guard = threading.Lock()
        self._counts: dict[Kind, Count] = {}
        self._start = thread(f"counted-{self.actor}", self._run)

    def entry(self, kind: Kind, counted: Count) -> tuple[str, AuditNote]:
        """Return the organization whose log it belongs to, and the entry."""
        raise NotImplementedError

    def together(self, kind: Kind) -> Kind:
        """Return the kind under which ``kind`` is counted where there are too many of them."""
        return kind

    def count(self, kind: Kind) -> None:
        """Count one; it is written soon, from another thread. Never blocks and never raises."""
        now = self._clock()
        with self._guard:
            if kind not in self._counts and len(self._counts) >= MAX_KINDS:
                kind = self.together(kind)
            count = self._counts.setdefault(kind, Count(now, now))
            if count.n == 0:
                count.since = now
            count.n += 1
            count.until = now
        self._start()

    def write(self) -> int:
        """Write what is due; return how many entries.

        Raises:
            Unavailable: the database cannot be reached; the counts are kept.
        """
        now = self._clock()
        due = self._due(now)
        if not due:
            return 0
        with self._store.write() as tx:
            recorder = Recorder(Catalogue([]), now)
            for kind, counted in due:
                organization, note = self.entry(kind, counted)
                recorder.note(organization, self.actor, note)
            recorder.flush(tx)
        with self._guard:
            for kind, counted in due:
                count = self._counts[kind]
                count.n -= counted.n
                count.since = now
                count.written_at = now
        return len(due)

    def _due(self, now: int) -> list[tuple[Kind, Count]]:
        with self._guard:
            past = now - WINDOW_MS
            for kind in [k for k, c in self._counts.items() if c.n == 0 and (c.written_at or now) <= past]:
                del self._counts[kind]
            return [
                (kind, msgspec.structs.replace(count))
                for kind, count in self._counts.items()
                if count.n and (count.written_at is None or count.written_at <= past)
            ]

    def _run(self) -> None:
        while True:
            threading.Event().wait(_LOOK_EVERY_S)
            try:
                self.write()
            except Exception as error:
                log.warning("counted_not_written", actor=self.actor, reason=type(error).__name__)
