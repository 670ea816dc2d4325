"""The documentation pages: Swagger UI from the installed package (no network), and the list of problems."""

from __future__ import annotations

from pathlib import Path

import flask_swagger_ui
from flask import Blueprint, Response, render_template, send_from_directory

from api.problems import described

blp = Blueprint("docs", __name__, url_prefix="/docs", template_folder="../templates")

_ASSETS = Path(flask_swagger_ui.__file__).parent / "dist"
_STATIC = Path(__file__).parent.parent / "static"
#: Swagger UI styles its elements one by one; scripts come from here alone.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@blp.get("")
def page() -> Response:
    """Show Swagger UI."""
    return _guarded(send_from_directory(_STATIC, "docs.html"))


@blp.get("/start.js")
def start() -> Response:
    """Start Swagger UI."""
    return _guarded(send_from_directory(_STATIC, "docs.js", mimetype="text/javascript"))


@blp.get("/assets/<path:name>")
def assets(name: str) -> Response:
    """Serve Swagger UI's own files."""
    return _guarded(send_from_directory(_ASSETS, name, max_age=3600))


@blp.get("/problems")
def problems() -> Response:
    """List the kinds of problems: what they mean and what to do."""
    return _guarded(Response(render_template("problems.html", problems=described()), content_type="text/html"))


def _guarded(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    return response
