"""Deny by default: no key, no answer but health and docs; no scope, no resource."""

from __future__ import annotations

from typing import Any

from flask import Flask

from api import bounds
from api.door import CALLER, current_request, door
from metaqore.errors import Forbidden, Malformed, Unauthenticated
from metaqore.store.tenant import EVERYONE, act_for

#: Endpoints (or, with a dot at the end, whole blueprints) that answer without a key.
OPEN = frozenset({"health.live", "health.ready", "docs.page", "docs.start", "docs.problems", "docs.assets",
                  "api-docs.openapi_json"})  # fmt: skip

#: The attribute in which a method's scope is kept.
SCOPE = "needs_scope"


def register(app: Flask) -> None:
    """Guard every route of ``app``."""
    scopes = needed_scopes(app)

    @app.teardown_request
    def leave(_error: BaseException | None) -> None:
        # The thread goes on to somebody else.
        act_for(EVERYONE)

    @app.before_request
    def guard() -> None:
        asked = current_request()
        endpoint = asked.endpoint
        if endpoint in OPEN:
            return
        here = door()
        here.rates.before(asked.environ)
        try:
            who = here.keys.authenticate(asked.environ.get("HTTP_AUTHORIZATION"))
        except Unauthenticated:
            here.rates.failed(asked.environ)
            raise
        if "\0" in asked.environ["PATH_INFO"] or "%00" in asked.environ.get("QUERY_STRING", ""):
            # No name holds one, and PostgreSQL's text cannot.
            raise Malformed("the URL holds a NUL (%00): leave it out")
        asked.environ[CALLER] = who
        act_for(who.organization)
        here.rates.spend(who, asked.environ)
        here.stops.check(who)
        if asked.url_rule is None:
            return  # 404 or 405, but only for those who may ask
        scope = scopes.get((endpoint or "", asked.method))
        if scope is None or not who.may(scope):
            raise Forbidden(f"this key needs the scope {scope}" if scope else "nobody may do this", scope=scope)
        if who.project is not None:
            bounds.check_path(asked, who)


def needed_scopes(app: Flask) -> dict[tuple[str, str], str]:
    """Return (endpoint, HTTP method) → scope for everything that can be asked for with a key."""
    found: dict[tuple[str, str], str] = {}
    for endpoint, view in app.view_functions.items():
        methods: Any = getattr(view, "view_class", None)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            function = getattr(methods, method.lower(), None) if methods is not None else view
            scope = getattr(function, SCOPE, None)
            if scope is not None:
                found[(endpoint, method)] = scope
                if method == "GET":
                    found[(endpoint, "HEAD")] = scope
    return found
