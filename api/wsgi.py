"""``granian --interface wsgi api.wsgi:app``."""

from __future__ import annotations

from api import logs
from api.app import create_app
from metaqore.adapters import heap, logging
from metaqore.embedded.parent import end_with_parent
from metaqore.settings import load

# A worker process of a server that was killed would keep its port, and answer on it.
end_with_parent()
_settings = load()
logging.configure(_settings.log_level, _settings.log_format, about=logs.about)
app = create_app(_settings)
heap.settle()
