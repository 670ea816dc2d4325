"""What a test changes about logging, and puts back: it holds for the whole process, and so for every test after it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import structlog


@contextlib.contextmanager
def logging_as_before() -> Iterator[None]:
    """Put back structlog's configuration, the root's handlers and every level as they were."""
    root, config = logging.getLogger(), structlog.get_config()
    known = [root, *(logging.getLogger(name) for name in logging.root.manager.loggerDict)]
    handlers, levels = root.handlers[:], [logger.level for logger in known]
    try:
        yield
    finally:
        structlog.configure(**config)
        root.handlers[:] = handlers
        for logger, level in zip(known, levels, strict=True):
            logger.setLevel(level)
