"""Who is calling: API keys against the database, with a cache so short that a revocation counts within a second."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable

from metaqore.clock import now_ms, to_rfc3339
from metaqore.errors import Unauthenticated
from metaqore.security.keys import Principal, hash_secret, parse

#: (principal, SHA-256 of the secret, expires_at, revoked_at), or None where there is no such key.
Found = tuple[Principal, str, int | None, int | None] | None

#: Seconds for which a look-up is believed.
_BELIEVED_S = 0.9
_MAX_KEYS = 10_000
#: Compared with where the key is unknown, so that it costs the same.
_NOBODY = "0" * 64


class KeyRing:
    """Authenticates the value of an ``Authorization`` header.

    Args:
        look_up: key id → what is stored, whatever the organization.
        refused: told of each failed login: the key's organization and id (None where there is no such key), why.
    """

    def __init__(
        self,
        look_up: Callable[[str], Found],
        clock: Callable[[], float] = time.monotonic,
        refused: Callable[[str | None, str | None, str], None] = lambda *_: None,
    ) -> None:
        self._look_up = look_up
        self._refused = refused
        self._clock = clock
        self._known: dict[str, tuple[float, Found]] = {}

    def authenticate(self, header: str | None) -> Principal:
        """Return the verified caller.

        Raises:
            Unauthenticated: no key, not a key, unknown, revoked or expired. Only who proves the secret is told more.
            Unavailable: the database cannot be asked.
        """
        scheme, _, text = (header or "").partition(" ")
        key = parse(text.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            if header:
                self._refused(None, None, "malformed")
            raise Unauthenticated
        found = self._find(key.id)
        stored = found[1] if found is not None else _NOBODY
        if not hmac.compare_digest(hash_secret(key.secret), stored) or found is None:
            self._refused(*((found[0].organization, key.id, "wrong_secret") if found else (None, None, "unknown_key")))
            raise Unauthenticated
        principal, _, expires_at, revoked_at = found
        if revoked_at is not None:
            self._refused(principal.organization, key.id, "revoked")
            raise Unauthenticated(f"this key was revoked at {to_rfc3339(revoked_at)}: use another one")
        if expires_at is not None and expires_at <= now_ms():
            self._refused(principal.organization, key.id, "expired")
            raise Unauthenticated(f"this key expired at {to_rfc3339(expires_at)}: use another one")
        return principal

    def _find(self, key_id: str) -> Found:
        now = self._clock()
        known = self._known.get(key_id)
        if known is not None and known[0] > now:
            return known[1]
        found = self._look_up(key_id)
        if len(self._known) >= _MAX_KEYS:
            self._known.clear()
        self._known[key_id] = (now + _BELIEVED_S, found)
        return found
