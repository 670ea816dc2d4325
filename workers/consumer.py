"""Celery's consumer behind a gate: what is no ring of ours is put away, counted and audited, and never decoded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from celery.worker import consumer
from kombu.log import get_logger

from metaqore.audit.tags import Tag
from metaqore.clock import now_ms
from metaqore.messages import AuditNote
from metaqore.requests.catalogue import Catalogue
from metaqore.requests.ports import Store
from metaqore.requests.recorder import Recorder
from workers.messages import refusal

log = structlog.get_logger(__name__)

ACTOR = "broker"
#: Seconds between two entries about messages that were refused on one queue for one reason.
_WINDOW_S = 60.0
_logger = get_logger(__name__)


class Refused:
    """Counts refused messages; the first of a kind is in the audit log within a second, a flood is one entry a minute.

    Args:
        organization: the installation's own, since a forged message is nobody's.
    """

    def __init__(
        self, store: Callable[[], Store], organization: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._organization = organization
        self._clock = clock
        self._guard = threading.Lock()
        #: (queue, reason) → how many, when the next entry is due.
        self._counts: dict[tuple[str, str], tuple[int, float]] = {}
        self._is_writing = False

    def note(self, queue: str, reason: str) -> None:
        """Count one message; never blocks and never raises."""
        log.warning("message_refused", queue=queue, reason=reason)
        with self._guard:
            n, due = self._counts.get((queue, reason), (0, 0.0))
            self._counts[(queue, reason)] = (n + 1, due)
            starts, self._is_writing = not self._is_writing, True
        if starts:
            threading.Thread(target=self._run, name="refused-messages", daemon=True).start()

    def write(self) -> int:
        """Write what is due; return how many entries.

        Raises:
            Unavailable: the database cannot be reached; the counts are kept.
        """
        now = self._clock()
        with self._guard:
            due = [(bucket, n) for bucket, (n, at) in self._counts.items() if n and at <= now]
        if not due:
            return 0
        with self._store().write() as tx:
            recorder = Recorder(Catalogue([]), now_ms())
            for (queue, reason), n in due:
                note = AuditNote(tag=Tag.MESSAGE_REFUSED, subject=queue, outcome=reason, details={"count": n})
                recorder.note(self._organization, ACTOR, note)
            recorder.flush(tx)
        with self._guard:
            for bucket, n in due:
                self._counts[bucket] = (self._counts[bucket][0] - n, now + _WINDOW_S)
        return len(due)

    def _run(self) -> None:
        while True:
            try:
                self.write()
            except Exception as error:
                log.warning("refused_not_written", reason=type(error).__name__)
            threading.Event().wait(0.5)


class Consumer(consumer.Consumer):
    """See the module."""

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], Any]:
        """Return what takes each message."""
        from workers.app import settings
        from workers.beat import schedule
        from workers.engine import refused

        handle = super().create_task_handler(*args, **options)
        firings = frozenset((str(one["args"][0]), float(one["args"][1])) for one in schedule(settings).values())

        def checked(message: Any) -> Any:
            reason = refusal(message, firings)
            if reason is None:
                return handle(message)
            refused().note(str(message.delivery_info.get("routing_key", "")), reason)
            return message.reject_log_error(_logger, self.connection_errors)

        return checked

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Put away what cannot be read; unlike Celery's own, this shows nothing of it in the log."""
        from workers.engine import refused

        refused().note(str(message.delivery_info.get("routing_key", "")), "malformed")
        message.reject_log_error(_logger, self.connection_errors)
