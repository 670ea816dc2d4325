"""Celery's consumer behind a gate: what is no ring of ours is put away, counted and audited, and never decoded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import structlog
from celery.worker import consumer
from kombu.log import get_logger

from metaqore.audit.tags import Tag
from metaqore.messages import AuditNote
from metaqore.requests.counted import Count, Counted
from metaqore.requests.ports import Store
from workers.messages import refusal

log = structlog.get_logger(__name__)

_logger = get_logger(__name__)


class _Message(NamedTuple):
    queue: str
    reason: str


class Refused(Counted[_Message]):
    """Counts refused messages.

    Args:
        organization: the installation's own, since a forged message is nobody's.
    """

    actor = "broker"

    def __init__(self, store: Store, organization: str) -> None:
        super().__init__(store)
        self._organization = organization

    def note(self, queue: str, reason: str) -> None:
        """Count one message; never blocks and never raises."""
        log.warning("message_refused", queue=queue, reason=reason)
        self.count(_Message(queue, reason))

    def together(self, kind: _Message) -> _Message:
        """Return a message of no queue, for the same reason."""
        return _Message("", kind.reason)

    def entry(self, kind: _Message, counted: Count) -> tuple[str, AuditNote]:
        """Return the entry."""
        note = AuditNote(tag=Tag.MESSAGE_REFUSED, subject=kind.queue, outcome=kind.reason, details={"count": counted.n})
        return self._organization, note


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
