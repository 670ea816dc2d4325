"""The keys that an OpenID provider publishes (RFC 7517): fetched when needed, kept, and never fetched too often."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import jwt
import msgspec
import structlog
import urllib3

from metaqore.errors import SettingsError, Unavailable

log = structlog.get_logger(__name__)

#: Seconds for which keys are taken as they are; after which they are asked for again, but go on to be used while the
#: issuer does not answer; and after which they are worth nothing without a new answer.
_FRESH_S, _STALE_S = 300.0, 3600.0
#: Seconds between two fetches at least, whatever key ids strangers make up.
_APART_S = 10.0
#: Seconds for connecting and for each read; for a whole answer, however slowly it drips; and for which somebody with
#: a key id that nobody knows waits for another one who is asking.
_TIMEOUT_S, _DEADLINE_S, _PATIENCE_S = 2.0, 5.0, 3.0
_MAX_BYTES, _MAX_KEYS = 262_144, 64
#: RSA keys below this are no proof of anything (NIST SP 800-131A).
_MIN_RSA_BITS = 2048
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

Fetch = Callable[[str], Mapping[str, Any]]


class Jwks:
    """See ``metaqore.security.foreign.KeySource``.

    Args:
        issuer: its URL; the discovery document beneath it names the keys' URL where ``url`` does not.
        url: of the key set, or empty.
        fetch: for tests; returns the JSON object at a URL.

    Raises:
        SettingsError: not an https URL (http is for loopback addresses).
    """

    def __init__(
        self, issuer: str, url: str = "", *, fetch: Fetch | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer, self._url = issuer, url
        self._fetch = fetch or _fetch
        self._clock = clock
        self._guard = threading.Lock()
        #: (id, type) → key: an issuer may give keys of two types one id (RFC 7517 §4.5).
        self._keys: dict[tuple[str, str], jwt.PyJWK] = {}
        self._had_at = self._asked_at = float("-inf")
        check_url(url or issuer)

    def find(self, kid: str | None, key_type: str) -> jwt.PyJWK | None:
        """Return a key by its id, or the only one of its type."""
        now = self._clock()
        found = self._pick(kid, key_type)
        if (found is None or now - self._had_at > _FRESH_S) and now - self._asked_at >= _APART_S:
            # Only one asks; whoever has a key goes on with it.
            must = found is None or now - self._had_at > _STALE_S
            if self._guard.acquire(timeout=_PATIENCE_S if must else 0):
                try:
                    if self._clock() - self._asked_at >= _APART_S:
                        self._refresh()
                finally:
                    self._guard.release()
            found = self._pick(kid, key_type)
        if self._clock() - self._had_at > _STALE_S:
            raise Unavailable("the keys of the OpenID provider cannot be had", retry_after_s=10)
        return found

    def _pick(self, kid: str | None, key_type: str) -> jwt.PyJWK | None:
        if kid is not None:
            return self._keys.get((kid, key_type))
        fitting = [key for key in self._keys.values() if key.key_type == key_type]
        return fitting[0] if len(fitting) == 1 else None

    def _refresh(self) -> None:
        self._asked_at = self._clock()
        try:
            url = self._url or self._discover()
            keys = self._fetch(url).get("keys")
            if not isinstance(keys, list):
                raise ValueError("no list of keys")
        except (urllib3.exceptions.HTTPError, ValueError, OSError) as error:
            log.warning("jwks_not_fetched", issuer=self._issuer, reason=f"{type(error).__name__}: {error}"[:200])
            return
        self._keys = _unambiguous(filter(None, map(_usable, enumerate(keys[:_MAX_KEYS]))))
        self._had_at = self._clock()

    def _discover(self) -> str:
        document = self._fetch(self._issuer.rstrip("/") + "/.well-known/openid-configuration")
        url = document.get("jwks_uri")
        if document.get("issuer") != self._issuer or not isinstance(url, str):
            raise ValueError("the discovery document is of another issuer, or names no keys")
        try:
            # An issuer elsewhere has nothing to say about who is asked on this machine.
            check_url(url, may_be_here=_is_here(self._issuer))
        except SettingsError as error:
            raise ValueError(error.message) from error
        return url


def _unambiguous(found: Iterable[tuple[tuple[str, str], jwt.PyJWK]]) -> dict[tuple[str, str], jwt.PyJWK]:
    """Return the keys without those of which two different ones have one id and type: nobody knows which is meant."""
    keys: dict[tuple[str, str], jwt.PyJWK] = {}
    wrong = set()
    for name, key in found:
        if name in keys and keys[name].key != key.key:
            wrong.add(name)
        keys[name] = key
    return {name: key for name, key in keys.items() if name not in wrong}


def _usable(numbered: tuple[int, Any]) -> tuple[tuple[str, str], jwt.PyJWK] | None:
    """Return ((id, type), key) of a public signing key; None for what is none."""
    number, entry = numbered
    if not isinstance(entry, dict) or entry.get("kty") not in ("RSA", "EC", "OKP") or entry.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK({name: value for name, value in entry.items() if name != "d"})
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if key.key_type == "RSA" and key.key.key_size < _MIN_RSA_BITS:
        return None
    kid = entry.get("kid")
    return (kid if isinstance(kid, str) else f"#{number}", str(key.key_type)), key


def check_url(url: str, *, may_be_here: bool = True) -> None:
    """Refuse a URL over which keys could be swapped on their way.

    Args:
        may_be_here: whether it may be plain http to this machine.

    Raises:
        SettingsError: it is not https.
    """
    if urlsplit(url).scheme != "https" and not (may_be_here and _is_here(url)):
        raise SettingsError(f"METAQORE_OIDC_ISSUER, METAQORE_OIDC_JWKS_URL: {url!r} must be https")


def _is_here(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in _LOOPBACK


def _fetch(url: str) -> Mapping[str, Any]:
    timeout = urllib3.Timeout(connect=_TIMEOUT_S, read=_TIMEOUT_S)
    with urllib3.PoolManager(retries=False) as pool:
        answer = pool.request("GET", url, redirect=False, timeout=timeout, preload_content=False)
        try:
            if answer.status != 200:
                raise ValueError(f"status {answer.status}")
            data = _read(answer)
        finally:
            answer.release_conn()
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError("not a JSON object") from error


def _read(answer: urllib3.BaseHTTPResponse) -> bytes:
    until = time.monotonic() + _DEADLINE_S
    data = bytearray()
    while piece := answer.read1(65_536, decode_content=False):
        data += piece
        if len(data) > _MAX_BYTES:
            raise ValueError(f"larger than {_MAX_BYTES} bytes")
        if time.monotonic() > until:
            raise ValueError(f"not complete after {_DEADLINE_S:.0f} s")
    return bytes(data)
