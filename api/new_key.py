"""Making an API key: the secret is minted here and only its hash goes on."""

from __future__ import annotations

from typing import Any

from api.door import caller
from api.submit import run
from metaqore.errors import Forbidden
from metaqore.security.keys import hash_secret, mint


def new_key(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Create a key and return it with its secret.

    Raises:
        Forbidden: it would be allowed to do what the caller may not.
    """
    beyond = sorted(scope for scope in body["scopes"] if not caller().may(scope))
    if beyond:
        raise Forbidden(f"this key cannot give what it does not have: {', '.join(beyond)}", scope=beyond[0])
    text, key = mint("live")
    expires_at = body.get("expires_at")
    payload = {
        "id": key.id,
        "secret_hash": hash_secret(key.secret),
        "principal": body["principal"],
        "name": body["name"],
        "scopes": sorted(set(body["scopes"])),
        "expires_at": None if expires_at is None else int(expires_at.timestamp() * 1000),
    }
    sent = {**body, "expires_at": payload["expires_at"]}
    ran = run("key.create", payload, body=sent)
    headers = {"Idempotency-Replayed": "true"} if ran.replayed else {}
    return {**ran.result, "secret": None if ran.replayed else text}, headers
