"""A listener on this machine's own addresses that nothing may ever connect to."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from metaqore.adapters.egress_http import SocketNetwork
from metaqore.delivery.egress import EgressPolicy
from metaqore.delivery.webhooks import Sender
from metaqore.store.engine import Database
from tests.hostile_urls import cases
from tests.integration.delivery.conftest import Start
from tests.integration.delivery.receivers import NamedNetwork, Receiver, answers
from tests.webhooks import Outbox, make_delivery, make_endpoint


@dataclass
class Canary:
    """Listens on every address of this machine."""

    port: int
    listeners: list[Receiver]

    @property
    def connections(self) -> int:
        """How many came, by whichever address."""
        return sum(listener.connections for listener in self.listeners)


@pytest.fixture
def canary() -> Iterator[Canary]:
    with contextlib.ExitStack() as running:
        # It hangs up at once, so that whoever does come is not kept waiting.
        first = running.enter_context(Receiver(lambda *_: None, reads=False, address="0.0.0.0").running())
        listeners = [first]
        if socket.has_ipv6:
            with contextlib.suppress(OSError):
                second = Receiver(lambda *_: None, reads=False, address="::", port=first.port)
                listeners.append(running.enter_context(second.running()))
        yield Canary(first.port, listeners)


def send(policy: EgressPolicy, network: SocketNetwork, url: str) -> str | None:
    sender = Sender(network, policy, timeout_s=2.0)
    return sender.attempt(make_delivery(endpoint=make_endpoint(url=url))).reason


def is_here(address: str) -> bool:
    """True where connecting to this address ends on this machine."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return parsed.is_loopback or parsed.is_unspecified


def test_no_hostile_url_reaches_the_canary(canary: Canary) -> None:
    """All cases through the real sender on real sockets, with the canary's port allowed: only the rules hold back."""
    policy = EgressPolicy(ports=frozenset({443, 8443, canary.port}))
    table = cases(canary.port)

    reasons = {send(policy, NamedNetwork(lambda host, a=addresses: list(a)), url) for url, addresses in table}  # type: ignore[misc]

    assert reasons == {"url_refused"} and len(table) >= 200
    assert canary.connections == 0


def test_without_the_address_rules_the_same_urls_do_reach_it(canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    """The canary sings: what keeps it silent in the test above is nothing but the rules."""
    monkeypatch.setattr(EgressPolicy, "refusal", lambda self, address: None)
    policy = EgressPolicy(ports=frozenset({canary.port}))
    here = [(url, addresses) for url, addresses in cases(canary.port) if addresses and all(map(is_here, addresses))]

    for url, addresses in here:
        send(policy, NamedNetwork(lambda host, a=addresses: list(a)), url)  # type: ignore[misc]

    assert canary.connections >= 5


class OnePublicAddress(EgressPolicy, frozen=True, kw_only=True):
    """Takes 127.0.0.9 for a public address, so that a test need not leave this machine."""

    def refusal(self, address: str) -> str | None:
        """As ever, with one exception."""
        return None if address == "127.0.0.9" else super().refusal(address)


@pytest.mark.parametrize("turns_after", range(5))
def test_a_name_that_turns_to_loopback_between_look_ups_does_not_lead_there(receiver: Start, turns_after: int) -> None:
    """Whichever look-up gets which answer, what was checked is what is connected to."""
    decoy = receiver(lambda *_: None, reads=False, address="127.0.0.9")
    canary = receiver(lambda *_: None, reads=False, address="127.0.0.1", port=decoy.port)
    asked: list[str] = []

    def turning(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.9"] if len(asked) <= turns_after else ["127.0.0.1"]

    policy, url = OnePublicAddress(ports=frozenset({decoy.port})), f"https://turning.example.com:{decoy.port}/"
    reasons = [send(policy, NamedNetwork(turning), url) for _ in range(4)]

    assert reasons.count("url_refused") == max(0, 4 - turns_after)
    assert (decoy.connections, canary.connections) == (min(4, turns_after), 0)


@pytest.mark.parametrize(("status", "header"), [
    (200, "refresh: 0; url=http://127.0.0.1:{p}/"), (201, "location: http://127.0.0.1:{p}/"),
    (300, "location: //127.0.0.1:{p}/"), (301, "location: http://127.0.0.1:{p}/"), (302, "location: gopher://127.0.0.1:{p}/_"),
    (303, "location: file:///etc/passwd"), (305, "location: http://127.0.0.1:{p}"), (307, "location: http://[::1]:{p}/"),
    (308, "location: https://127.0.0.1:{p}/"), (308, "location: http://127.0.0.1:{p}/\r\nlocation: http://localhost:{p}/"),
    (401, 'www-authenticate: Basic realm="x"\r\nlocation: http://127.0.0.1:{p}/'), (407, "proxy-authenticate: NTLM"),
])  # fmt: skip
def test_a_redirect_is_not_followed_to_it(
    sqlite: Database, receiver: Start, canary: Canary, status: int, header: str
) -> None:
    there = receiver(answers(status, header.replace("{p}", str(canary.port)) + "\r\n"))
    outbox = Outbox(sqlite, SocketNetwork(), policy=EgressPolicy(allow_private=True))
    outbox.endpoint(there.url)
    outbox.events()
    outbox.dispatcher.run()

    state = "delivered" if status < 300 else "pending"
    assert [row["last_status"] for row in outbox.deliveries(state)] == [status]
    assert len(there.requests) == 1 and canary.connections == 0


def test_proxies_in_the_environment_are_not_used(
    sqlite: Database, receiver: Start, canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
    there = receiver(answers(200))
    outbox = Outbox(sqlite, SocketNetwork(), policy=EgressPolicy(allow_private=True))
    outbox.endpoint(there.url)
    outbox.events()
    outbox.dispatcher.run()

    assert len(there.requests) == 1 and canary.connections == 0


@pytest.mark.parametrize(
    "literal", ["0x7f000001", "2130706433", "017700000001", "127.1", "0", "127.0.0.1", "localhost"]
)
def test_what_the_system_resolves_to_loopback_is_refused_at_registration(canary: Canary, literal: str) -> None:
    """The real look-up of this machine reads each of these as loopback."""
    here = SocketNetwork().resolve(literal, canary.port, 5.0)
    sender = Sender(SocketNetwork(), EgressPolicy(ports=frozenset({canary.port})))

    assert set(here) & {"127.0.0.1", "::1", "0.0.0.0"}
    with pytest.raises(Exception, match="url: ") as refused:
        sender.check(f"https://{literal}:{canary.port}/")
    assert getattr(refused.value, "code", "") == "url_refused"
    assert canary.connections == 0
