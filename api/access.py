"""Deny by default: no key, no answer but health and docs; no scope, no resource."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, g, request

from api.door import door
from metaqore.errors import Forbidden
from metaqore.ids import new_secret

#: Endpoints (or, with a dot at the end, whole blueprints) that answer without a key.
OPEN = frozenset({"health.live", "health.ready", "docs.page", "docs.start", "docs.problems", "docs.assets",
                  "api-docs.openapi_json"})  # fmt: skip

#: The attribute in which a method's scope is kept.
SCOPE = "needs_scope"

SECURITY_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
)


def register(app: Flask) -> None:
    """Guard every route of ``app`` and label every answer."""
    scopes = needed_scopes(app)

    @app.before_request
    def guard() -> None:
        sent = request.headers.get("X-Request-Id", "")
        g.request_id = sent if sent.isascii() and sent.isprintable() and 0 < len(sent) <= 128 else new_secret(8)
        if request.endpoint in OPEN:
            return
        here = door()
        g.principal = here.keys.authenticate(request.headers.get("Authorization"))
        here.rate.spend(g.principal.key_id)
        if request.url_rule is None:
            return  # 404 or 405, but only for those who may ask
        scope = scopes.get((request.endpoint or "", request.method))
        if scope is None or not g.principal.may(scope):
            raise Forbidden(f"this key needs the scope {scope}" if scope else "nobody may do this", scope=scope)

    @app.after_request
    def label(response: Response) -> Response:
        headers = response.headers
        for name, value in SECURITY_HEADERS:
            headers.setdefault(name, value)
        headers["X-Request-Id"] = g.get("request_id") or new_secret(8)
        return response


def needed_scopes(app: Flask) -> dict[tuple[str, str], str]:
    """Return (endpoint, HTTP method) → scope for everything that can be asked for with a key."""
    found: dict[tuple[str, str], str] = {}
    for endpoint, view in app.view_functions.items():
        methods: Any = getattr(view, "view_class", None)
        for method in ("GET", "POST", "PATCH", "DELETE"):
            function = getattr(methods, method.lower(), None) if methods is not None else view
            scope = getattr(function, SCOPE, None)
            if scope is not None:
                found[(endpoint, method)] = scope
                if method == "GET":
                    found[(endpoint, "HEAD")] = scope
    return found
