"""Where a webhook may be sent: which URLs, and which addresses a name may resolve to. Pure.

The address that is checked must be the address that is connected to, so ``admit`` returns both: whoever connects uses
these addresses and never asks for the name again (DNS rebinding). ``ipaddress.is_private`` is no such check: it is
false for NAT64, 6to4, multicast, carrier-grade NAT and site-local addresses.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

import idna
import msgspec

from metaqore.errors import InvalidInput

MAX_URL_CHARS = 2048

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
#: (host, port) → every address of the host, as text.
Resolve: TypeAlias = Callable[[str, int], Sequence[str]]

#: Special-purpose blocks (IANA registries of RFC 6890, and multicast): nothing of the public internet is there.
_DENIED_V4 = tuple(
    map(
        ipaddress.IPv4Network,
        """
        0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
        192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
        """.split(),
    )
)
#: The only IPv6 block with public unicast addresses (RFC 4291 §2.4). What lies outside is denied, and so every
#: loopback, mapped, NAT64, discard, unique-local, link-local, site-local and multicast address.
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
#: Inside of it: protocol assignments with Teredo, documentation, 6to4, documentation.
_DENIED_V6 = tuple(map(ipaddress.IPv6Network, "2001::/23 2001:db8::/32 2002::/16 3fff::/20".split()))
#: What ``allow_private`` lets through besides: this machine and private networks; never link-local, where clouds
#: keep their credentials.
_PRIVATE = tuple(
    map(ipaddress.ip_network, "10.0.0.0/8 127.0.0.0/8 172.16.0.0/12 192.168.0.0/16 ::1/128 fc00::/7".split())
)
#: The interface identifiers of ISATAP (RFC 5214 §6.1): an IPv4 address follows.
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[^\x00-\x20\x7f/?#:@\[\]\\%]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?)",
    re.IGNORECASE,
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
#: A last label that URL parsers and ``getaddrinfo`` read as part of an IPv4 address: 127.1, 0x7f000001, 017700000001.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class EgressRefused(InvalidInput):
    """Nothing may be sent to this URL."""

    code = "url_refused"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A URL taken apart. ``host`` is ASCII and lower case, an IPv6 address without its brackets."""

    tls: bool
    host: str
    port: int
    #: Path and query, as sent.
    path: str

    @property
    def authority(self) -> str:
        """The value of the ``Host`` header (RFC 9110 §7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


class EgressPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What may be reached. ``allow_private`` is for tests and for the demo on one machine: http, any port, and
    loopback or private addresses."""

    allow_private: bool = False
    ports: frozenset[int] = frozenset({443, 8443})

    def admit(self, url: str, resolve: Resolve) -> tuple[Target, list[str]]:
        """Return the parts of ``url`` and the addresses to connect to, every one of them checked.

        Raises:
            EgressRefused: the URL, or one of the addresses, is not allowed.
        """
        target = self.parse(url)
        addresses = [target.host] if _literal(target.host) else list(dict.fromkeys(resolve(target.host, target.port)))
        if not addresses:
            raise EgressRefused(f"url: {target.host} has no address")
        if any(self.refusal(address) for address in addresses):
            # Which address is not said: a name look-up behind our walls is nobody's to ask for.
            raise EgressRefused(
                f"url: {target.host} does not lead to a public address (for a receiver on a private network set "
                "METAQORE_WEBHOOK_ALLOW_PRIVATE=true)"
            )
        return target, addresses

    def parse(self, url: str) -> Target:
        """Return the parts of ``url``.

        Raises:
            EgressRefused: not a URL of the allowed shape; the message says what to change.
        """
        if len(url) > MAX_URL_CHARS:
            raise EgressRefused(f"url: longer than {MAX_URL_CHARS} characters")
        match = _URL.fullmatch(url)
        if match is None:
            raise EgressRefused(
                "url: not of the form https://host[:port]/path?query, without user name or fragment, and with all "
                "but unreserved characters percent-encoded"
            )
        tls = match["scheme"].lower() == "https"
        if not tls and not self.allow_private:
            raise EgressRefused("url: use https")
        port = int(match["port"] or (443 if tls else 80))
        if not (1 <= port <= 65535 if self.allow_private else port in self.ports):
            allowed = "1 to 65535" if self.allow_private else ", ".join(map(str, sorted(self.ports)))
            raise EgressRefused(f"url: port {port} is not allowed, choose from {allowed}")
        path = match["path"]
        return Target(tls=tls, host=self._host(match["host"]), port=port, path=path if path[:1] == "/" else "/" + path)

    def _host(self, written: str) -> str:
        host = written.strip("[]").lower() if written.isascii() else _idna(written)
        if ":" in host or _NUMBER.fullmatch(host.rpartition(".")[2]):
            if self.allow_private and _literal(host):
                return host
            raise EgressRefused(f"url: {written} is an IP address: use a host name")
        labels = host.split(".")
        if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
            raise EgressRefused(f"url: {written} is not a host name")
        if len(labels) == 1 and not self.allow_private:
            raise EgressRefused(f"url: {written} is not a public host name: it has no dot")
        return host

    def refusal(self, address: str) -> str | None:
        """Return why nothing may be sent to ``address``; None where it may."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return f"{address!r} is not an IP address"
        if isinstance(parsed, ipaddress.IPv6Address):
            carried = embedded_ipv4(parsed)
            if carried is not None:
                return f"{address} carries the IPv4 address {carried}"
            if parsed.scope_id is not None:
                return f"{address} is bound to an interface"
        if _is_public(parsed) or (self.allow_private and _within(parsed, _PRIVATE)):
            return None
        return f"{address} is not a public address"


def embedded_ipv4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to: mapped, compatible, NAT64, 6to4, Teredo or ISATAP."""
    number = int(address)
    last = ipaddress.IPv4Address(number & 0xFFFFFFFF)
    if address.ipv4_mapped or number >> 32 in (0xFFFF0000, 0x64FF9B << 64):
        return last
    if number >> 32 == 0 and number > 1:
        return last
    if number >> 80 == 0x0064FF9B0001 or number >> 32 & 0xFFFFFFFF in _ISATAP:
        return last
    if address.sixtofour is not None:
        return address.sixtofour
    return address.teredo[1] if address.teredo is not None else None


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not _within(address, _DENIED_V4)
    return address in _GLOBAL_V6 and not _within(address, _DENIED_V6)


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _idna(host: str) -> str:
    try:
        # Without the mapping of UTS 46, which would turn look-alikes into dots, digits and nothing at all.
        return idna.encode(host.lower(), std3_rules=True).decode()
    except idna.IDNAError as error:
        raise EgressRefused(f"url: {host} is not a host name: {error}") from error
