"""Structured logs: constant event names, identifiers as keywords, never a payload or a secret."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import structlog

#: Values under these names never reach a log, whatever they are.
_FORBIDDEN = frozenset({"payload", "content", "prompt", "secret", "password", "authorization", "body", "key", "token"})
_KEY = re.compile(
    r"mq_(live|test)_([0-9a-f]{12})_[0-9a-f]{72}|whsec_[A-Za-z0-9+/=]+|(?<=://)[^/\s@]+@"
    r"|mqd_[\w.-]+|\beyJ[\w-]+\.[\w-]+\.[\w-]*|(?<=[Bb]asic )[\w+/=-]{8,}|(?<=[Bb]earer )(?!mq_)[\w+/=.-]{8,}"
)


def configure(
    level: str = "info", style: str = "json", *, about: Callable[[], Mapping[str, str | None]] | None = None
) -> None:
    """Send structlog and the standard library's loggers to stderr, one line each.

    Args:
        level: debug, info, warning or error.
        style: ``json`` or ``console``.
        about: what the line is about, asked for each line that is written and never before, so that binding it costs
            nothing where nothing is logged; what the line itself says goes first.
    """

    def bind(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {**about(), **event} if about is not None else event

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        bind,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if style == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        # First of all: what is below the level must cost nothing.
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _redact, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Alembic: a line or two at each look at the schema, which the readiness of the API takes.
    for noisy in ("urllib3", "kombu", "amqp", "celery.worker.strategy", "celery.app.trace", "alembic"):
        logging.getLogger(noisy).setLevel("WARNING")


def _redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if name in _FORBIDDEN:
            event[name] = "[redacted]"
        elif isinstance(value, str):
            event[name] = _KEY.sub(lambda m: f"mq_{m[1]}_{m[2]}_[redacted]" if m[1] else "[redacted]", value)
    return event
