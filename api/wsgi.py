"""``granian --interface wsgi api.wsgi:app``."""

from __future__ import annotations

from api import logs
from api.app import create_app
from metaqore.adapters import heap, logging
from metaqore.settings import load

_settings = load()
logging.configure(_settings.log_level, _settings.log_format, about=logs.about)
app = create_app(_settings)
heap.settle()
