"""Making API keys and tokens: a key's secret is minted here and only its hash goes on; a token is signed here."""

from __future__ import annotations

from typing import Any

from api.door import caller, door
from api.submit import run
from metaqore.errors import Forbidden, InvalidInput
from metaqore.security import tokens
from metaqore.security.keys import ROLES, SCOPES, hash_secret, mint

_REPLAYED = {"Idempotency-Replayed": "true"}


def new_key(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Create a key and return it with its secret.

    Raises:
        InvalidInput: it would be allowed nothing.
        Forbidden: it would be allowed to do what the caller may not.
    """
    scopes = sorted({*body.get("scopes", ()), *ROLES.get(body.get("role", ""), ())})
    if not scopes:
        raise InvalidInput("a key needs scopes, or a role", errors=[{"pointer": "/scopes", "detail": "scopes or role"}])
    _within_own(scopes)
    text, key = mint("live")
    expires_at = body.get("expires_at")
    payload = {
        "id": key.id,
        "secret_hash": hash_secret(key.secret),
        "principal": body["principal"],
        "kind": body.get("kind"),
        "name": body["name"],
        "scopes": scopes,
        "expires_at": None if expires_at is None else int(expires_at.timestamp() * 1000),
    }
    sent = {**body, "expires_at": payload["expires_at"]}
    ran = run("key.create", payload, body=sent)
    return {**ran.result, "secret": None if ran.replayed else text}, _REPLAYED if ran.replayed else {}


def _within_own(scopes: list[str]) -> None:
    beyond = [scope for scope in scopes if not caller().may(scope)]
    if beyond:
        raise Forbidden(f"this key cannot give what it does not have: {', '.join(beyond)}", scope=beyond[0])


def rotate(key_id: str, body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Give a key a new secret and return it.

    Raises:
        NotFound: no such key.
        Forbidden: whoever asks may not do what the key may.
    """
    row = door().views.security.key(caller().organization, key_id)
    _within_own(row["scopes"] if row is not None else [])
    environment = row["environment"] if row is not None else None
    text, key = mint(environment or "live", key_id)
    payload = {"id": key_id, "secret_hash": hash_secret(key.secret), "overlap_s": body["overlap_s"]}
    ran = run("key.rotate", payload, body={"id": key_id, **body})
    return {**ran.result, "secret": None if ran.replayed else text}, _REPLAYED if ran.replayed else {}


def new_token(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Make a delegated token and return it with its text, which a replay repeats.

    Raises:
        Forbidden: it would be allowed to do what the caller may not.
        NotFound: no such project or task.
    """
    who = caller()
    payload = {
        **body, "task": body.get("task"), "key_id": who.key_id or None, "not_after": who.until,
        "authority": [scope for scope in SCOPES if who.may(scope)],
    }  # fmt: skip
    ran = run("token.create", payload, body=body)
    shown = {**ran.result, "organization": who.organization}
    return {**ran.result, "token": tokens.sign(shown, door().keys.token_secret())}, _REPLAYED if ran.replayed else {}
