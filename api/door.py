"""What every resource works with: the engine, the look-ups, who is calling."""

from __future__ import annotations

from typing import cast

import msgspec
from flask import current_app, g

from api.keyring import KeyRing
from api.known_projects import KnownProjects
from api.limits import RateLimit, Slots
from metaqore.adapters.announcements import Announcements
from metaqore.bootstrap import Engine
from metaqore.security.keys import Principal
from metaqore.settings import Settings
from metaqore.store.views import Views

EXTENSION = "metaqore"


class Door(msgspec.Struct, frozen=True):
    """The API's side of one process."""

    settings: Settings
    engine: Engine
    views: Views
    announcements: Announcements
    keys: KeyRing
    rate: RateLimit
    projects: KnownProjects
    #: How many threads may be held at once by those who wait or follow, and how many of these by streams.
    held_threads: Slots
    streams: Slots


def door() -> Door:
    """Return the door of the application that handles this request."""
    return cast(Door, current_app.extensions[EXTENSION])


def caller() -> Principal:
    """Return who is calling: verified before any resource runs."""
    return cast(Principal, g.principal)
