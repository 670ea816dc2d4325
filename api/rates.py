"""Who is limited by what: principals and organizations after they are known, addresses before.

The headers are those of draft-ietf-httpapi-ratelimit-headers-10: ``RateLimit-Policy`` says what is allowed,
``RateLimit`` what is left.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping
from typing import Any

from api.labels import RATE
from api.limits import Claim, Limit, RateLimit, Shared
from metaqore.errors import RateLimited, SettingsError
from metaqore.security.keys import Principal
from metaqore.settings import Settings

_MAX_CLAIMS = 10_000
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Rates:
    """The limits of this installation.

    Raises:
        SettingsError: a trusted proxy is no address.
    """

    def __init__(self, settings: Settings, shared: Shared) -> None:
        self._rate = RateLimit(shared)
        self._principal = Limit("principal", settings.rate_limit_per_minute)
        self._organization = Limit("organization", settings.rate_limit_organization_per_minute)
        self._address = Limit("address", settings.rate_limit_failures_per_minute)
        self._proxies = networks(settings.trusted_proxies)
        #: (organization, principal) → what a call of theirs counts under.
        self._claims: dict[tuple[str, str], list[Claim]] = {}
        stated = [limit for limit in (self._principal, self._organization) if limit.per_minute]
        self._policy = ", ".join(f'"{limit.name}";q={limit.per_minute};w=60' for limit in stated)

    def before(self, environ: Mapping[str, Any]) -> None:
        """Refuse an address from which too many failed logins came; costs no look-up anywhere.

        Raises:
            RateLimited: so it is.
        """
        if self._address.name in self._rate.blocking_until:
            self._rate.check(self._address.of(client_address(environ, self._proxies)))

    def failed(self, environ: Mapping[str, Any]) -> None:
        """Count a failed login.

        Raises:
            RateLimited: it was one too many.
        """
        if self._address.per_minute:
            self._rate.spend([self._address.of(client_address(environ, self._proxies))])

    def spend(self, who: Principal, environ: dict[str, Any]) -> None:
        """Count one call of a verified principal; a delegated token counts for whoever handed it on.

        Raises:
            RateLimited: they, or their organization, have none left.
        """
        name = (who.organization, who.delegator or who.name)
        claims = self._claims.get(name)
        if claims is None:
            claims = self._claim(*name)
        if not claims:
            return
        limit = claims[0].limit
        try:
            left = self._rate.spend(claims)
        except RateLimited as error:
            environ[RATE] = self._headers(str(error.details["limit"]), 0, error.details["retry_after_s"])
            raise
        environ[RATE] = self._headers(limit.name, left, math.ceil((limit.per_minute - left) * 60 / limit.per_minute))

    def _claim(self, organization: str, name: str) -> list[Claim]:
        if len(self._claims) >= _MAX_CLAIMS:
            self._claims.clear()
        wanted = [self._principal.of(f"{organization}/{name}"), self._organization.of(organization)]
        claims = self._claims[(organization, name)] = [claim for claim in wanted if claim.limit.per_minute]
        return claims

    def _headers(self, name: str, left: int, seconds: int) -> list[tuple[str, str]]:
        return [("RateLimit-Policy", self._policy), ("RateLimit", f'"{name}";r={left};t={seconds}')]


def networks(text: str) -> tuple[_Network, ...]:
    """Return the networks in a comma-separated list.

    Raises:
        SettingsError: one of them is no address and no network.
    """
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise SettingsError(f"METAQORE_TRUSTED_PROXIES={text!r}: {error}. Give addresses or networks") from error


def client_address(environ: Mapping[str, Any], proxies: tuple[_Network, ...]) -> str:
    """Return from where a call came: the peer, or what trusted proxies say stands before them.

    ``X-Forwarded-For`` is read from its right end and only as far as trusted proxies wrote it; an IPv6 address counts
    with its /64, which is what one customer gets.
    """
    peer = str(environ.get("REMOTE_ADDR", ""))
    hops = [peer]
    if proxies:
        hops = [*str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(","), peer]
    found = peer
    for hop in reversed(hops):
        try:
            address = _address(hop.strip())
        except ValueError:
            break
        found = str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)
        if not any(address in network for network in proxies if network.version == address.version):
            break
    return found


def _address(hop: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the address of a hop; proxies may add a port, and sockets for both protocols write IPv4 as IPv6.

    Raises:
        ValueError: it is none.
    """
    bare = hop[1:].partition("]")[0] if hop.startswith("[") else hop.partition(":")[0] if hop.count(":") == 1 else hop
    address = ipaddress.ip_address(bare)
    # All of IPv4 is one /64 in that form: whoever is locked out would lock out everybody.
    return address if address.version == 4 else address.ipv4_mapped or address
