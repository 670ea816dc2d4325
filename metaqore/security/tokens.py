"""Delegated tokens: ``mqd_`` and a JWT (RFC 7519) signed with this installation's own secret. Pure.

A principal hands a part of what it may do to an agent, for one project or one task of it, for an hour at most. The
signature turns forgeries away before anything is looked up; what the token may do is read from its row, so that it
ends with its key, its task, or by itself within a second.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import jwt
import msgspec

from metaqore.messages import Write
from metaqore.security.keys import Principal, StoredKey

PREFIX = "mqd_"
MAX_LIFETIME_S = 3600
#: What may be handed on: work within a project. Whatever governs others stays with those who answer for it.
DELEGABLE = frozenset(
    {
        "projects:read", "artifacts:read", "artifacts:write", "conflicts:resolve", "tasks:write", "requests:read",
        "requests:cancel", "security:assess", "llm:generate", "events:read",
    }
)  # fmt: skip
_ISSUER, _ALGORITHM = "metaqore", "HS256"


class StoredToken(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a token, with the state of what it depends on."""

    principal: Principal
    expires_at: int
    revoked_at: int | None
    #: The delegator's key; None where the delegator came with a JWT of another issuer, and so has none.
    key: StoredKey | None
    has_key: bool
    task_state: str | None

    def ended(self, now: int, final_states: Collection[str]) -> str | None:
        """Return why the token is worth nothing at ``now``, or None where it holds.

        Args:
            final_states: a task in one of these gives nobody any more rights.
        """
        if self.revoked_at is not None:
            return "this token was revoked"
        if self.expires_at <= now:
            return "this token has expired"
        if self.has_key and self.key is None:
            return "the key that this token was made with does not exist"
        if self.key is not None and self.key.revoked_at is not None:
            return "the key that this token was made with was revoked"
        if self.key is not None and self.key.expires_at is not None and self.key.expires_at <= now:
            return "the key that this token was made with has expired"
        if self.principal.task is not None and (self.task_state is None or self.task_state in final_states):
            return f"task {self.principal.task} has ended"
        return None


def sign(token: Mapping[str, Any], secret: bytes) -> str:
    """Return the text of a token: a pure function of its row, so that a replay gives the same.

    Args:
        token: id, organization, principal, delegator, project, task, scopes, created_at and expires_at (ms).
        secret: at least 32 random bytes.
    """
    claims = {
        "iss": _ISSUER, "jti": token["id"], "sub": token["principal"], "act": {"sub": token["delegator"]},
        "org": token["organization"], "prj": token["project"], "tsk": token["task"],
        "scope": " ".join(token["scopes"]), "iat": token["created_at"] // 1000, "exp": token["expires_at"] // 1000,
    }  # fmt: skip
    return PREFIX + jwt.encode(claims, secret, algorithm=_ALGORITHM)


def token_id(text: str, secret: bytes) -> str | None:
    """Return the id of a token that was signed here, or None. Whether it still holds is for its row to say."""
    try:
        claims = jwt.decode(
            text.removeprefix(PREFIX), secret, algorithms=[_ALGORITHM], issuer=_ISSUER,
            options={"require": ["jti", "exp"], "verify_exp": False, "verify_iat": False},
        )  # fmt: skip
    except jwt.PyJWTError:
        return None
    return str(claims["jti"])


class SaveToken(Write, frozen=True):
    """Effect: a token is made. ``scopes`` is JSON text."""

    id: str
    organization: str
    principal: str
    delegator: str
    key_id: str | None
    project: str
    task: str | None
    scopes: str
    at: int
    expires_at: int


class RevokeToken(Write, frozen=True):
    """Effect: a token stops working."""

    id: str
    organization: str
    at: int
