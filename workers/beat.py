"""What beat fires. Each firing is a row unique in (schedule, time), so that two beats fire once."""

from __future__ import annotations

from typing import Any

from metaqore.settings import Settings


def schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return Celery's beat schedule: name → task, seconds, arguments."""
    periodic = {"sweep": settings.sweep_every_s, "discover": settings.discover_every_s, "purge": 3600.0,
                "retain": 86_400.0, "clean": 60.0,
                "policies": 60.0}  # fmt: skip
    if settings.compliance_frameworks:
        periodic["report"] = 3600.0
    return {
        name: {
            "task": "metaqore.system.fire",
            "schedule": seconds,
            "args": [name, seconds],
            # A firing that nobody took within two periods is of no use to anyone.
            "options": {"queue": "system", "expires": max(2 * seconds, 10)},
        }
        for name, seconds in periodic.items()
    }
