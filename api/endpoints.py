"""Saving webhook endpoints: the URL is checked at the door, because looking a name up does not belong in a commit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.door import caller, door
from api.submit import run
from metaqore.errors import NotFound


def find(endpoint: str) -> Any:
    """Return an endpoint's row.

    Raises:
        NotFound: there is none in the caller's organization.
    """
    row = door().views.delivery.endpoint(caller().organization, endpoint)
    if row is None:
        raise NotFound(f"webhook endpoint {endpoint} does not exist")
    return row


def save(payload: Mapping[str, Any], body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Create or change an endpoint; return it, with its secret where that is new.

    Raises:
        InvalidInput: nothing may be sent to this URL; says why.
    """
    if "url" in payload:
        door().engine.sender.check(payload["url"])
    ran = run("endpoint.save", payload, body=body)
    headers = {"Idempotency-Replayed": "true"} if ran.replayed else {}
    return {**ran.result, "secret": ran.once.get("secret")}, headers
