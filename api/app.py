"""The application factory: one Flask application around one engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Request
from werkzeug.routing import MapAdapter

import metaqore
from api import access, errors
from api.bell import PublisherBell
from api.cors import Cors, origins
from api.door import EXTENSION, Door
from api.failed_logins import FailedLogins
from api.identity import key_ring
from api.known_projects import KnownProjects
from api.labels import Labelled
from api.later import Later
from api.places import Places, Shares
from api.quotas import Quotas
from api.rates import Rates
from api.readiness import Readiness
from api.resources import (
    audit,
    audit_provenance,
    budgets,
    compliance,
    delivery,
    docs,
    health,
    hmcp,
    keys,
    llm,
    privacy,
    requests,
    security,
    security_policies,
    security_stops,
    tokens,
)
from api.resources.psmp import (
    aliases,
    approvals,
    artifacts,
    checkpoints,
    conflicts,
    decisions,
    intents,
    projects,
    proposals,
    tasks,
)
from api.stops import StopList
from metaqore import bootstrap
from metaqore.adapters.announcements import Announcements
from metaqore.adapters.limits_redis import RedisLimits
from metaqore.requests.refused import Refused
from metaqore.settings import Settings, load
from metaqore.store.views import Views

#: How many of a serving process's threads (``--blocking-threads 2048``) may be held by those who wait for a verdict or
#: follow a stream, how many of those may be streams, and how many are held by bodies that come slowly. What one
#: principal may hold of all three, and one organization, leaves threads for everybody else.
HELD_THREADS, STREAMS, BODIES = Shares(1280, 1016, 1152), Shares(128, 32, 96), Shares(512, 384, 448)

DOCUMENTED = (
    projects.blp, checkpoints.blp, artifacts.blp, aliases.blp, tasks.blp, conflicts.blp, decisions.blp, intents.blp,
    proposals.blp, approvals.blp, requests.blp, security.blp, security_policies.policies, security_policies.decisions,
    security_stops.blp, llm.blp, hmcp.patterns, hmcp.specialists, delivery.events, delivery.webhooks, keys.blp,
    audit.blp, audit_provenance.blp, privacy.blp,
    tokens.blp, budgets.blp, compliance.blp,
)  # fmt: skip
_DESCRIPTION = """Admission control and a merge queue for what AI agents produce.

Submit, and get 202 with an id at once; or send `Prefer: wait=N` and get the verdict. A denial is a result: 409 with a
blocking report, 403 with the reasons of a veto. Every error is a problem document (RFC 9457)."""


class App(Flask):
    """Flask without what this application has no use for, on the path of every request."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``func``: there are no coroutines here, and asking costs more than calling."""
        return func

    def log_exception(self, exc_info: Any) -> None:
        """Say nothing: what answers with 500 logs the exception, once and as all lines are (``errors``)."""

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Match by path and method alone: hosts and subdomains mean nothing here."""
        if request is None:
            return super().create_url_adapter(request)
        return MapAdapter(self.url_map, request.host, "/", "", request.scheme, request.path, request.method)


def create_app(settings: Settings | None = None) -> Flask:
    """Return the application; nothing is connected before the first request.

    Raises:
        SettingsError: a setting cannot be used.
    """
    chosen = settings or load()
    app = App("api", static_folder=None)
    app.config.update(_config(chosen))
    app.url_map.strict_slashes = False
    app.extensions[EXTENSION] = _door(chosen)
    errors.register(app)
    spec = errors.Api(app)
    spec.spec.components.security_scheme("apiKey", {"type": "http", "scheme": "bearer", "bearerFormat": "mq_…"})
    for blueprint in DOCUMENTED:
        spec.register_blueprint(blueprint)
    app.register_blueprint(health.blp)
    app.register_blueprint(docs.blp)
    access.register(app)
    allowed = origins(chosen.cors_origins)
    answered = Cors(app.wsgi_app, allowed) if allowed else app.wsgi_app
    app.wsgi_app = Labelled(answered)  # type: ignore[method-assign]
    return app


def _door(settings: Settings) -> Door:
    engine = bootstrap.build(settings, lambda s: PublisherBell(s.redis_url, linger_ms=s.ring_linger_ms))
    views = engine.views
    refused = Refused(engine.store, settings.organization)
    announcements = Announcements(settings.redis_url, views.requests.finished, engine.authentic, refused.note)
    engine.executor.results = Later(engine.executor.results, announcements.tell)
    failed_logins = FailedLogins(engine.store, settings.organization)
    stops = StopList(views.security.all_stops, listen=announcements.start)
    announcements.on_stops = stops.forget
    return Door(
        settings=settings, engine=engine, views=views, keys=key_ring(settings, engine, failed_logins.note),
        stops=stops, announcements=announcements,
        readiness=Readiness(views.health, announcements, settings.redis_url, engine.policies),
        rates=Rates(settings, RedisLimits(settings.redis_url)), quotas=_quotas(settings, views),
        projects=KnownProjects(views.psmp.existing_projects),
        held_threads=Places("waits and streams", HELD_THREADS), streams=Places("event streams", STREAMS),
        bodies=Places("unfinished bodies", BODIES),
    )  # fmt: skip


def _quotas(settings: Settings, views: Views) -> Quotas:
    return Quotas(
        views.requests.open_by_project, per_organization=settings.quota_open_per_organization,
        per_project=settings.quota_open_per_project,
    )  # fmt: skip


def _config(settings: Settings) -> dict[str, Any]:
    return {
        "MAX_CONTENT_LENGTH": settings.max_body_bytes,
        "API_TITLE": "MetaQore",
        "API_VERSION": metaqore.__version__,
        "OPENAPI_VERSION": "3.1.0",
        "OPENAPI_URL_PREFIX": "/api/v1",
        "API_SPEC_OPTIONS": {
            "info": {"description": _DESCRIPTION, "license": {"name": "MIT", "identifier": "MIT"}},
            "servers": [{"url": "/"}],
            "security": [{"apiKey": []}],
        },
    }
