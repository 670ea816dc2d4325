"""Deny by default: no key, no answer but health and docs; no scope, no resource."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request

from api.door import door
from metaqore.errors import Forbidden
from metaqore.ids import new_secret

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

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
        response.headers["X-Request-Id"] = g.get("request_id") or new_secret(8)
        return response

    app.wsgi_app = _with_security_headers(app.wsgi_app)  # type: ignore[assignment, method-assign]


def _with_security_headers(inner: WSGIApplication) -> WSGIApplication:
    """Add the headers that an answer does not set itself, below Flask: its header object searches for each."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            given = {name.lower() for name, _ in headers}
            headers += [pair for pair in SECURITY_HEADERS if pair[0].lower() not in given]
            return start_response(status, headers, exc_info)

        return inner(environ, start)

    return answer


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
