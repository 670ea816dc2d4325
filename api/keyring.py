"""Who is calling: API keys and delegated tokens against the database, JWTs against their issuer's keys.

Whatever was looked up is believed for so short a time that a revocation counts within a second.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

import msgspec

from metaqore.clock import now_ms, to_rfc3339
from metaqore.errors import NotFound, Unauthenticated
from metaqore.security import foreign, tokens
from metaqore.security.keys import Principal, StoredKey, hash_secret, parse
from metaqore.security.tokens import StoredToken

T = TypeVar("T")
#: (organization, id of the key or token, why) of a failed login.
Refused = Callable[[str | None, str | None, str], None]

#: Seconds for which a look-up is believed: a revocation counts within a second, however long the look-up takes.
_BELIEVED_S = 0.5
_MAX_KNOWN = 10_000
#: Compared with where the key is unknown, so that it costs the same.
_NOBODY = StoredKey(principal=Principal(organization="", name="", key_id="", scopes=frozenset()), secret_hash="0" * 64)


class Believed(Generic[T]):
    """Answers of a look-up, each believed for less than a second."""

    def __init__(self, look_up: Callable[[str], T], clock: Callable[[], float]) -> None:
        self._look_up = look_up
        self._clock = clock
        self._known: dict[str, tuple[float, T]] = {}

    def get(self, name: str) -> T:
        """Return the answer for ``name``, looked up where the last one is too old."""
        now = self._clock()
        known = self._known.get(name)
        if known is not None and known[0] > now:
            return known[1]
        found = self._look_up(name)
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[name] = (now + _BELIEVED_S, found)
        return found


class Delegated(msgspec.Struct, frozen=True):
    """How delegated tokens are known: the secret that signs them, what is stored of one, in which states tasks end."""

    secret: Callable[[], bytes]
    look_up: Callable[[str], StoredToken | None]
    final_states: Collection[str]


class KeyRing:
    """Authenticates the value of an ``Authorization`` header.

    Args:
        look_up: key id → what is stored, whatever the organization.
        refused: told of each failed login: organization and id of what was shown (None where there is no such thing),
            and why.
        delegated: for delegated tokens; None accepts none.
        issuer: whose JWTs are accepted, and its keys; None accepts none.
    """

    def __init__(
        self,
        look_up: Callable[[str], StoredKey | None],
        clock: Callable[[], float] = time.monotonic,
        refused: Refused = lambda *_: None,
        *,
        delegated: Delegated | None = None,
        issuer: tuple[foreign.Issuer, foreign.KeySource] | None = None,
    ) -> None:
        self._keys = Believed(look_up, clock)
        self._refused = refused
        self._delegated = delegated
        self._tokens = Believed(delegated.look_up, clock) if delegated is not None else None
        self._issuer = issuer
        self._clock = clock
        #: SHA-256 of a JWT → until when its signature need not be checked again, what it says.
        self._verified: dict[bytes, tuple[float, foreign.Verified]] = {}

    def authenticate(self, header: str | None) -> Principal:
        """Return the verified caller.

        Raises:
            Unauthenticated: nothing that proves anything, unknown, revoked or expired. Only who proves the secret is
                told more.
            Unavailable: the database, or the issuer, cannot be asked.
        """
        scheme, _, text = (header or "").partition(" ")
        if scheme.lower() == "bearer":
            text = text.strip()
            if text.startswith("mq_"):
                return self._by_key(text)
            if text.startswith(tokens.PREFIX):
                return self._by_token(text)
            if self._issuer is not None and text.count(".") == 2:
                return self._by_jwt(text, *self._issuer)
        if header:
            self._refused(None, None, "malformed")
        raise Unauthenticated

    def token_secret(self) -> bytes:
        """Return the secret that signs delegated tokens.

        Raises:
            NotFound: this door accepts none.
        """
        if self._delegated is None:
            raise NotFound("this installation has no delegated tokens")
        return self._delegated.secret()

    def _by_key(self, text: str) -> Principal:
        key = parse(text)
        if key is None:
            self._refused(None, None, "malformed")
            raise Unauthenticated
        found = self._keys.get(key.id)
        now = now_ms()
        if not (found or _NOBODY).proves(hash_secret(key.secret), now) or found is None:
            known = (found.principal.organization, key.id, "wrong_secret") if found else (None, None, "unknown_key")
            self._refused(*known)
            raise Unauthenticated
        if found.environment not in (None, key.environment):
            self._refused(found.principal.organization, key.id, "wrong_environment")
            raise Unauthenticated(f"this is no key for {key.environment}: its text began with mq_{found.environment}_")
        if found.revoked_at is not None:
            self._refused(found.principal.organization, key.id, "revoked")
            raise Unauthenticated(f"this key was revoked at {to_rfc3339(found.revoked_at)}: use another one")
        if found.expires_at is not None and found.expires_at <= now:
            self._refused(found.principal.organization, key.id, "expired")
            raise Unauthenticated(f"this key expired at {to_rfc3339(found.expires_at)}: use another one")
        return found.principal

    def _by_token(self, text: str) -> Principal:
        if self._delegated is None or self._tokens is None:
            raise Unauthenticated
        name = tokens.token_id(text, self._delegated.secret())
        found = self._tokens.get(name) if name is not None else None
        if found is None:
            self._refused(None, None, "bad_token")
            raise Unauthenticated
        ended = found.ended(now_ms(), self._delegated.final_states)
        if ended is not None:
            self._refused(found.principal.organization, found.principal.key_id, "ended")
            raise Unauthenticated(f"{ended}: ask {found.principal.delegator} for another one")
        return found.principal

    def _by_jwt(self, text: str, issuer: foreign.Issuer, keys: foreign.KeySource) -> Principal:
        digest = hashlib.sha256(text.encode()).digest()
        known = self._verified.get(digest)
        now = self._clock()
        if known is None or known[0] <= now:
            try:
                known = (now + _BELIEVED_S, foreign.verify(text, issuer, keys))
            except Unauthenticated:
                self._refused(None, None, "bad_jwt")
                raise
            if len(self._verified) >= _MAX_KNOWN:
                self._verified.clear()
            self._verified[digest] = known
        if known[1].expires_at + issuer.leeway_s * 1000 <= now_ms():
            raise Unauthenticated("this token has expired: get a new one from its issuer")
        return known[1].principal
