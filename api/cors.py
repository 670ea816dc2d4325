"""Which other sites' pages may read answers (CORS, fetch.spec.whatwg.org): none, unless they are named.

Credentials are never allowed: whoever calls sends a key of their own in ``Authorization``, which no browser adds by
itself. Preflights are answered here, before anybody is asked for a key, and for streams as for everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from api.labels import Headers, WsgiApp
from metaqore.errors import SettingsError

_METHODS = "GET, POST, PUT, PATCH, DELETE"
_ASKS = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Prefer, X-Request-Id"
_SHOWS = (
    "ETag, Idempotency-Replayed, Link, Location, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, "
    "X-Request-Id"
)
_PREFLIGHT_S = "600"


def origins(text: str) -> frozenset[str]:
    """Return the origins in a comma-separated list.

    Raises:
        SettingsError: one of them is no origin; ``*`` is none.
    """
    found = frozenset(part.strip() for part in text.split(",") if part.strip())
    for origin in found:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc:
            raise SettingsError(
                f"METAQORE_CORS_ORIGINS: {origin!r} is no origin: give e.g. https://console.example.com"
            )
    return found


class Cors:
    """A WSGI application whose answers the pages of some sites may read."""

    def __init__(self, inner: WsgiApp, allowed: frozenset[str]) -> None:
        self._inner = inner
        self._allowed = allowed

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        origin = environ.get("HTTP_ORIGIN")
        is_allowed = origin in self._allowed
        if is_allowed and environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
            start_response("204 No Content", [
                *_allow(str(origin)), ("Access-Control-Allow-Methods", _METHODS),
                ("Access-Control-Allow-Headers", _ASKS), ("Access-Control-Max-Age", _PREFLIGHT_S),
                ("Content-Length", "0"),
            ])  # fmt: skip
            return []

        def start(status: str, headers: Headers, exc_info: Any = None) -> Any:
            # Vary even where nothing is allowed: a cache must not hand one site's answer to another.
            more = [*_allow(str(origin)), ("Access-Control-Expose-Headers", _SHOWS)] if is_allowed else [_VARY]
            return start_response(status, [*headers, *more], exc_info)

        return self._inner(environ, start)


_VARY = ("Vary", "Origin")


def _allow(origin: str) -> Headers:
    return [("Access-Control-Allow-Origin", origin), _VARY]
