"""``If-Match`` and friends: the version of a thing is its strong entity tag (RFC 9110 §8.8, §13.1)."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from werkzeug.exceptions import PreconditionRequired

from api.door import caller, door, header
from metaqore.errors import InvalidInput, PreconditionFailed


def tag(version: int | str) -> str:
    """Return the entity tag of a version."""
    return f'"{version}"'


def expected_version(*, required: bool) -> int | None:
    """Return the version that ``If-Match`` asks for; None for ``*``, or where there is none.

    Raises:
        PreconditionRequired: 428, it is missing.
        PreconditionFailed: it names no version.
    """
    text = header("HTTP_IF_MATCH")
    if text is None:
        if required:
            raise PreconditionRequired('send If-Match with the ETag you have read, e.g. If-Match: "3" (or *)')
        return None
    if text.strip() == "*":
        return None
    stripped = text.strip().removeprefix('"').removesuffix('"')
    if not stripped.isascii() or not stripped.isdigit() or len(stripped) > 15:
        raise PreconditionFailed(f'If-Match {text[:40]!r} names no version: send the ETag you have read, e.g. "3"')
    return int(stripped)


def unchanged(version: int | str) -> Response | None:
    """Return a 304 where the caller has this version already, else None."""
    if not request.if_none_match.contains(str(version)):
        return None
    return Response(status=304, headers={"ETag": tag(version)})


def expected_head() -> int | None:
    """Return the version of the head that the caller has seen; 0 for ``If-None-Match: *``, None where it says nothing.

    Raises:
        PreconditionFailed: ``If-Match`` names no version.
    """
    return 0 if header("HTTP_IF_NONE_MATCH") == "*" else expected_version(required=False)


def conditional(payload: dict[str, Any]) -> dict[str, Any]:
    """Return a payload that is decided only on the head that the headers name; see ``metaqore.psmp.conditions``.

    Raises:
        PreconditionFailed: ``If-Match`` names no version.
    """
    wanted = expected_head()
    return payload if wanted is None else {**payload, "if_match": wanted}


def set_base_version(project: str, payload: dict[str, Any]) -> None:
    """Let ``If-Match: "n"`` (or ``If-None-Match: *``) mean: this was made from version n (or: it is new).

    A stale one is refused, as HTTP asks for: here, or by the worker where the head moves before it decides. Without
    the header a stale ``base_version`` is a conflict that is governed: blocked with a report, or merged.

    Raises:
        PreconditionFailed: the head is another version; nothing was accepted.
        InvalidInput: the body has another ``base_version`` or ``if_match``.
    """
    wanted = expected_head()
    if wanted is None:
        return
    for name in ("base_version", "if_match"):
        if payload.get(name) not in (None, wanted):
            place = {"pointer": f"/{name}", "detail": "leave it out, or make it equal to the header"}
            raise InvalidInput(f"{name} {payload[name]} contradicts the header ({wanted})", errors=[place])
    payload.update(base_version=wanted, if_match=wanted)
    if header("HTTP_IDEMPOTENCY_KEY") is not None:
        return  # a repeat must get its first answer, wherever the head is by now
    head = door().views.psmp.head(caller().organization, project, payload["type"], payload["name"])
    if head != wanted:
        raise PreconditionFailed(
            f"{payload['type']}/{payload['name']} is at version {head}, not {wanted}: read it again"
        )
