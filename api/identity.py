"""Who may be known at this door, by the settings: keys, delegated tokens, one OpenID provider."""

from __future__ import annotations

import functools
from collections.abc import Callable

from api.keyring import Delegated, KeyRing, Refused
from metaqore.adapters.jwks import Jwks
from metaqore.adapters.secrets import from_file
from metaqore.bootstrap import Engine
from metaqore.security.foreign import Issuer
from metaqore.settings import Settings


def key_ring(settings: Settings, engine: Engine, refused: Refused) -> KeyRing:
    """Return what authenticates callers.

    Args:
        refused: told of each failed login.

    Raises:
        SettingsError: the provider's settings are not safe.
    """
    delegated = Delegated(token_secret(settings), engine.views.security.token, engine.psmp.task.flagged("final"))
    known = engine.views.security.principal
    return KeyRing(known, refused=refused, delegated=delegated, issuer=_issuer(settings))


def token_secret(settings: Settings) -> Callable[[], bytes]:
    """Return what gives the secret that signs delegated tokens; its file is made when it is first asked for."""

    @functools.cache
    def secret() -> bytes:
        return (settings.token_secret or from_file(settings.data_path / "token.secret")).encode()

    return secret


def _issuer(settings: Settings) -> tuple[Issuer, Jwks] | None:
    if not settings.oidc_issuer:
        return None
    issuer = Issuer(
        issuer=settings.oidc_issuer,
        audience=settings.oidc_audience,
        algorithms=tuple(name.strip() for name in settings.oidc_algorithms.split(",")),
        leeway_s=settings.oidc_leeway_s,
        principal_claim=settings.oidc_principal_claim,
        prefix=settings.oidc_principal_prefix,
        organization_claim=settings.oidc_organization_claim,
        organization=settings.organization,
        scopes_claim=settings.oidc_scopes_claim,
        kind_claim=settings.oidc_kind_claim,
    )
    issuer.check()
    return issuer, Jwks(settings.oidc_issuer, settings.oidc_jwks_url)
