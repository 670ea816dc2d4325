"""What may be asked of a worker over the broker: how it is, and to send its events. Nothing that changes what it does.

Celery's remote control takes orders from whoever can write to Redis: to stop, to leave a queue, to kill a task. Here
they are refused and counted. Flower, which only shows, asks for nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery.worker import control
from kombu.utils.url import maybe_sanitize_url

Command = Callable[..., Any]

#: Celery's own commands that only tell, and the one with which Flower asks for events.
ANSWERED = (
    "ping", "clock", "stats", "active", "active_queues", "registered", "reserved", "scheduled", "revoked",
    "query_task", "enable_events",
)  # fmt: skip


class Commands(dict[str, Command]):
    """Name → what answers; whatever is not in it is refused.

    Args:
        refused: told of each refused command.
    """

    def __init__(self, refused: Callable[[], None]) -> None:
        super().__init__({name: control.Panel.data[name] for name in ANSWERED})
        self["conf"] = _configuration
        self._refused = refused

    def __missing__(self, name: object) -> Command:
        return self._refuse

    def _refuse(self, _state: Any, **_arguments: Any) -> dict[str, str]:
        self._refused()
        return {"error": "workers take no orders over the broker"}


def _configuration(state: Any, **_arguments: Any) -> Any:
    """Return the settings of a worker; Celery hides passwords in those settings only that it knows."""
    return _without_passwords(control.conf(state))


def _without_passwords(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_passwords(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_without_passwords(member) for member in value]
    return maybe_sanitize_url(value) if isinstance(value, str) and "://" in value else value
