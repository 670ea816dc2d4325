"""What every line of the API's log says beside its event: which request, whose, about which project."""

from __future__ import annotations

from collections.abc import Mapping

from flask import has_request_context, request

from api.door import CALLER
from api.labels import REQUEST_ID


def about() -> Mapping[str, str | None]:
    """Return the identifiers of the HTTP request that this thread answers, as far as they are known by now."""
    if not has_request_context():
        return {}
    caller = request.environ.get(CALLER)
    found = {
        "request_id": request.environ.get(REQUEST_ID),
        "organization": caller.organization if caller is not None else None,
        "project": (request.view_args or {}).get("project") or request.args.get("project"),
    }
    return {name: value for name, value in found.items() if value is not None}
