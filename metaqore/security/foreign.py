"""Principals of another issuer: JWTs (RFC 7519, RFC 8725) of an OpenID provider become principals here. No I/O.

The algorithm is never the token's choice: it must be on the list of this installation and fit the key that its issuer
published. Symmetric algorithms and ``none`` cannot be put on that list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

import jwt
import msgspec

from metaqore.errors import SettingsError, Unauthenticated
from metaqore.security.keys import SCOPES, Principal, PrincipalKind

#: Every algorithm that may be allowed: asymmetric ones (RFC 7518, RFC 8037) → the key type that each needs.
ALGORITHMS: Mapping[str, str] = {
    "RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
    "ES256": "EC", "ES384": "EC", "ES512": "EC", "EdDSA": "OKP",
}  # fmt: skip
_ORGANIZATION = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_MAX_TEXT, _MAX_NAME = 8192, 200


class Issuer(msgspec.Struct, frozen=True, kw_only=True):
    """Whose tokens are accepted, and what their claims mean here."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    leeway_s: int = 30
    #: Claim with the principal's name, which gets ``prefix`` in front, so that nobody takes on a local name.
    principal_claim: str = "sub"
    prefix: str = "oidc:"
    #: Claim with the organization; empty where everybody belongs to ``organization``.
    organization_claim: str = ""
    organization: str = "default"
    #: Claim with the scopes: a list, or words with spaces between (RFC 8693 §4.2). Unknown ones mean nothing.
    scopes_claim: str = "scope"
    kind_claim: str = ""

    def check(self) -> None:
        """Refuse what cannot be safe.

        Raises:
            SettingsError: an algorithm that may not be allowed, or no audience.
        """
        wrong = sorted(set(self.algorithms) - set(ALGORITHMS))
        if wrong or not self.algorithms:
            raise SettingsError(
                f"METAQORE_OIDC_ALGORITHMS: {', '.join(wrong) or 'none given'}: choose from {', '.join(ALGORITHMS)}"
            )
        if not self.audience:
            raise SettingsError("METAQORE_OIDC_AUDIENCE is empty: tokens for anybody else would be accepted")


class KeySource(Protocol):
    """The keys that the issuer publishes."""

    def find(self, kid: str | None, key_type: str) -> jwt.PyJWK | None:
        """Return the key named ``kid`` (or the only one of ``key_type`` where the token names none).

        Raises:
            Unavailable: no keys are known and the issuer cannot be asked.
        """


class Verified(msgspec.Struct, frozen=True):
    """Who a token speaks for, and until when (ms)."""

    principal: Principal
    expires_at: int


def verify(text: str, issuer: Issuer, keys: KeySource) -> Verified:
    """Return whom a JWT speaks for.

    Raises:
        Unauthenticated: it is not a token of this issuer for this audience that holds now. Says nothing more.
        Unavailable: the issuer's keys cannot be had.
    """
    if len(text) > _MAX_TEXT:
        raise Unauthenticated
    try:
        header = jwt.get_unverified_header(text)
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in issuer.algorithms or "crit" in header or not isinstance(kid, str | None):
            raise Unauthenticated
        key = keys.find(kid, ALGORITHMS[algorithm])
        if key is None or key.key_type != ALGORITHMS[algorithm]:
            raise Unauthenticated
        claims = jwt.decode(
            text, key.key, algorithms=[algorithm], audience=issuer.audience, issuer=issuer.issuer,
            leeway=issuer.leeway_s, options={"require": ["exp", "iss", "aud", issuer.principal_claim]},
        )  # fmt: skip
    except jwt.PyJWTError as error:
        raise Unauthenticated from error
    return _principal(claims, issuer)


def _principal(claims: Mapping[str, Any], issuer: Issuer) -> Verified:
    name = claims[issuer.principal_claim]
    organization = claims.get(issuer.organization_claim) if issuer.organization_claim else issuer.organization
    named = isinstance(name, str) and 0 < len(name) <= _MAX_NAME and name.isprintable()
    if not named or not isinstance(organization, str) or not _ORGANIZATION.fullmatch(organization):
        raise Unauthenticated
    given = claims.get(issuer.scopes_claim, ())
    words = given.split() if isinstance(given, str) else given
    scopes = frozenset(word for word in words if word in SCOPES) if isinstance(words, list) else frozenset()
    kind = claims.get(issuer.kind_claim)
    until = int(claims["exp"]) * 1000
    who = Principal(
        organization=organization, name=issuer.prefix + _one_name(name), key_id="", scopes=scopes, until=until,
        kind=PrincipalKind(kind) if kind in tuple(PrincipalKind) else PrincipalKind.PERSON,
    )  # fmt: skip
    return Verified(who, until)


def _one_name(name: str) -> str:
    """Return a name without slashes (as a URL would write them): ``owner/agent`` is what an owner has delegated to.

    Somebody whom their provider calls ``ann/x`` would spend ann's budgets.
    """
    return name.replace("%", "%25").replace("/", "%2F")
