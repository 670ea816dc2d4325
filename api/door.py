"""What every resource works with: the engine, the look-ups, who is calling."""

from __future__ import annotations

from typing import cast

import msgspec
from flask import Request, current_app, request

from api.keyring import KeyRing
from api.known_projects import KnownProjects
from api.places import Places
from api.quotas import Quotas
from api.rates import Rates
from api.readiness import Readiness
from api.stops import StopList
from metaqore.adapters.announcements import Announcements
from metaqore.bootstrap import Engine
from metaqore.security.keys import SCOPES, Principal
from metaqore.settings import Settings
from metaqore.store.views import Views

EXTENSION = "metaqore"
#: Where the verified caller is kept in a WSGI environment.
CALLER = "metaqore.caller"


class Door(msgspec.Struct, frozen=True):
    """The API's side of one process."""

    settings: Settings
    engine: Engine
    views: Views
    announcements: Announcements
    keys: KeyRing
    stops: StopList
    rates: Rates
    quotas: Quotas
    projects: KnownProjects
    readiness: Readiness
    #: Threads held by those who wait or follow, those of these that are streams, and those held by bodies that come.
    held_threads: Places
    streams: Places
    bodies: Places


def door() -> Door:
    """Return the door of the application that handles this request."""
    return cast(Door, current_app.extensions[EXTENSION])


def current_request() -> Request:
    """Return the request itself: each attribute read through Flask's proxy costs as much as a look-up."""
    return cast(Request, request._get_current_object())  # type: ignore[attr-defined]


def header(name: str) -> str | None:
    """Return a request header by its WSGI name, e.g. ``HTTP_PREFER``."""
    return cast("str | None", request.environ.get(name))


def caller() -> Principal:
    """Return who is calling: verified before any resource runs."""
    return cast(Principal, request.environ[CALLER])


def authority() -> list[str]:
    """Return the scopes of the caller, for requests whose decision depends on them."""
    return [scope for scope in SCOPES if caller().may(scope)]
