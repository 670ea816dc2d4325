"""Failed logins go to the audit log, counted: a flood of them makes one entry a minute for each key, not one each.

The first failure of a key is written within a second; what follows is counted and written once a minute. An entry of
a key that exists belongs to the key's organization. A key that does not exist is nobody's and is not named, since
whoever sends it could write anything there: those go to the installation's own organization, all in one count.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import structlog

from metaqore.audit.tags import Tag
from metaqore.clock import now_ms
from metaqore.messages import AuditNote
from metaqore.requests.catalogue import Catalogue
from metaqore.requests.ports import Store
from metaqore.requests.recorder import Recorder

log = structlog.get_logger(__name__)

ACTOR = "anonymous"
#: Between two entries about one key and reason, in milliseconds.
WINDOW_MS = 60_000
_LOOK_EVERY_S = 0.5
#: Keys and reasons that are counted apart; what is beyond is counted together.
_MAX_BUCKETS = 1000


class _Bucket(NamedTuple):
    organization: str
    key: str | None
    reason: str


class _Count(msgspec.Struct):
    since: int
    until: int
    n: int = 0
    written_at: int | None = None


class FailedLogins:
    """One per process. ``note`` never blocks and never raises.

    Args:
        organization: the installation's own.
    """

    def __init__(self, store: Store, organization: str, clock: Callable[[], int] = now_ms) -> None:
        self._store = store
        self._organization = organization
        self._clock = clock
        self._guard = threading.Lock()
        self._counts: dict[_Bucket, _Count] = {}
        self._pid = 0

    def note(self, organization: str | None, key: str | None, reason: str) -> None:
        """Count one failure; it is written soon, from another thread."""
        now = self._clock()
        with self._guard:
            bucket = _Bucket(organization or self._organization, key, reason)
            if bucket not in self._counts and len(self._counts) >= _MAX_BUCKETS:
                bucket = _Bucket(self._organization, None, reason)
            count = self._counts.setdefault(bucket, _Count(now, now))
            if count.n == 0:
                count.since = now
            count.n += 1
            count.until = now
            start = self._pid != os.getpid()
            self._pid = os.getpid()
        if start:
            threading.Thread(target=self._run, name="failed-logins", daemon=True).start()

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
            for bucket, since, until, n in due:
                details = {"count": n, "since": since, "until": until}
                note = AuditNote(tag=Tag.LOGIN_FAILED, subject=bucket.key, outcome=bucket.reason, details=details)
                recorder.note(bucket.organization, ACTOR, note)
            recorder.flush(tx)
        with self._guard:
            for bucket, _, _, n in due:
                count = self._counts[bucket]
                count.n -= n
                count.since = now
                count.written_at = now
        return len(due)

    def _due(self, now: int) -> list[tuple[_Bucket, int, int, int]]:
        with self._guard:
            past = now - WINDOW_MS
            for bucket in [b for b, c in self._counts.items() if c.n == 0 and (c.written_at or now) <= past]:
                del self._counts[bucket]
            return [
                (bucket, count.since, count.until, count.n)
                for bucket, count in self._counts.items()
                if count.n and (count.written_at is None or count.written_at <= past)
            ]

    def _run(self) -> None:
        while True:
            threading.Event().wait(_LOOK_EVERY_S)
            try:
                self.write()
            except Exception as error:
                log.warning("failed_logins_not_written", reason=type(error).__name__)
