"""Celery's consumer behind a gate: what is no ring of ours is put away, counted and audited, and never decoded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery.worker import consumer, control
from kombu.log import get_logger

from workers.mailbox import Commands
from workers.messages import refusal

_logger = get_logger(__name__)


def _refused_order() -> None:
    from workers.engine import refused

    refused().note("pidbox", "order")


class Consumer(consumer.Consumer):
    """See the module."""

    def __init__(self, *args: Any, **options: Any) -> None:
        control.Panel.data = Commands(_refused_order)
        super().__init__(*args, **options)

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
