"""API keys: ``mq_<environment>_<id>_<secret><crc>``. Pure.

The id is 12 characters and may be logged; the secret is 256 random bits; the checksum (CRC-32, 8 hex digits) lets a
secret scanner tell a key from noise without asking anybody. Only the SHA-256 of the secret is stored: a slow hash
protects guessable secrets, and 256 random bits are not.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from metaqore.messages import Write

#: What a key may be allowed to do. ``*`` is for the development key of the embedded default.
SCOPES = (
    "tokens:delegate", "budgets:read", "budgets:manage", "projects:read", "projects:write", "projects:restore",
    "artifacts:read", "artifacts:write", "conflicts:resolve", "conflicts:override", "labels:declassify",
    "approvals:answer", "tasks:write", "requests:read", "requests:cancel", "security:assess", "security:stop",
    "policies:read", "policies:manage", "llm:generate", "hmcp:read", "hmcp:train", "webhooks:manage", "events:read",
    "keys:manage", "audit:read", "privacy:manage", "metrics:read",
)  # fmt: skip
ALL = "*"
#: What the text of a key says it is for, so that one of a test is not mistaken for one that opens the real thing.
ENVIRONMENTS = ("live", "test")
#: Sets of scopes that go together, for those who would rather name what a key is for.
ROLES: Mapping[str, tuple[str, ...]] = {
    "agent": ("projects:read", "artifacts:read", "artifacts:write", "tasks:write", "requests:read", "requests:cancel",
              "security:assess", "llm:generate", "events:read", "tokens:delegate", "budgets:read"),
    "reviewer": ("projects:read", "artifacts:read", "conflicts:resolve", "approvals:answer", "requests:read",
                 "events:read"),
    "auditor": ("projects:read", "requests:read", "events:read", "audit:read", "budgets:read"),
    "administrator": (ALL,),
}  # fmt: skip
_NOTHING = "-" * 64
_KEY = re.compile(r"mq_(live|test)_([0-9a-f]{12})_([0-9a-f]{64})([0-9a-f]{8})")


class Key(msgspec.Struct, frozen=True):
    """A parsed key."""

    environment: str
    id: str
    secret: str


class PrincipalKind(StrEnum):
    """What acts: somebody, an agent on its own, or a part of the installation."""

    PERSON = "person"
    AGENT = "agent"
    SERVICE = "service"


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who is calling: verified, with what it may do."""

    organization: str
    name: str
    key_id: str
    scopes: frozenset[str]
    kind: PrincipalKind = PrincipalKind.AGENT
    #: On whose behalf, where this is a delegated token; its limits are the delegator's.
    delegator: str | None = None
    #: Where not None, nothing outside of this project, and of this task of it, may be touched.
    project: str | None = None
    task: str | None = None
    #: Milliseconds since the epoch, where what proved it ends by itself: what is handed on ends no later.
    until: int | None = None

    def may(self, scope: str) -> bool:
        """True where the key has ``scope``."""
        return scope in self.scopes or ALL in self.scopes


def mint(environment: str = "live", key_id: str | None = None) -> tuple[str, Key]:
    """Return a new key (or a new secret for the key ``key_id``) as text (shown once) and parsed."""
    key = Key(environment, key_id or secrets.token_hex(6), secrets.token_hex(32))
    head = f"mq_{key.environment}_{key.id}_{key.secret}"
    return f"{head}{_crc(head)}", key


def parse(text: str) -> Key | None:
    """Return the parsed key, or None where the text is no key or its checksum is off."""
    match = _KEY.fullmatch(text)
    if match is None or _crc(text[:-8]) != match[4]:
        return None
    return Key(match[1], match[2], match[3])


def hash_secret(secret: str) -> str:
    """Return the SHA-256 of a secret, as stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


def matches(key: Key, stored_hash: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(hash_secret(key.secret), stored_hash)


def _crc(head: str) -> str:
    return f"{zlib.crc32(head.encode()):08x}"


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a key. After a rotation the secret before holds until ``previous_until``."""

    principal: Principal
    secret_hash: str
    expires_at: int | None = None
    revoked_at: int | None = None
    previous_hash: str | None = None
    previous_until: int | None = None
    #: For which it was made; None for keys from before this was kept, which count in either.
    environment: str | None = None

    def proves(self, secret_hash: str, now: int) -> bool:
        """Compare with the present secret and the one before, each in constant time."""
        is_present = hmac.compare_digest(secret_hash, self.secret_hash)
        is_previous = hmac.compare_digest(secret_hash, self.previous_hash or _NOTHING)
        return is_present or (is_previous and self.previous_until is not None and now < self.previous_until)


class SavePrincipal(Write, frozen=True):
    """Effect: a principal gets its first key."""

    organization: str
    name: str
    kind: str
    created_by: str
    at: int


class SaveKey(Write, frozen=True):
    """Effect: a key is created. ``scopes`` is JSON text."""

    id: str
    organization: str
    principal: str
    name: str
    secret_hash: str
    scopes: str
    created_by: str
    at: int
    expires_at: int | None
    environment: str


class RotateKey(Write, frozen=True):
    """Effect: a key gets a new secret; the one it had holds until ``previous_until``."""

    id: str
    organization: str
    secret_hash: str
    previous_hash: str
    previous_until: int
    at: int


class RevokeKey(Write, frozen=True):
    """Effect: a key stops working."""

    id: str
    organization: str
    at: int
