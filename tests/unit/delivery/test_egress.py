from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaqore.delivery.egress import EgressPolicy, EgressRefused, embedded_ipv4
from tests.hostile_urls import ADDRESSES, cases

POLICY = EgressPolicy()
LOCAL = EgressPolicy(allow_private=True)
CASES = cases(8443)


def test_the_table_has_at_least_two_hundred_different_cases() -> None:
    assert len(set(CASES)) == len(CASES) >= 200


@pytest.mark.parametrize(("url", "addresses"), CASES)
def test_a_hostile_url_is_refused(url: str, addresses: tuple[str, ...]) -> None:
    with pytest.raises(EgressRefused):
        POLICY.admit(url, lambda host, port: addresses)


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "authority"),
    [
        ("https://hooks.example.com", "hooks.example.com", 443, "/", "hooks.example.com"),
        ("https://hooks.example.com/", "hooks.example.com", 443, "/", "hooks.example.com"),
        ("https://hooks.example.com:443/a/b", "hooks.example.com", 443, "/a/b", "hooks.example.com"),
        ("https://hooks.example.com:8443/a", "hooks.example.com", 8443, "/a", "hooks.example.com:8443"),
        ("HTTPS://Hooks.Example.COM/A", "hooks.example.com", 443, "/A", "hooks.example.com"),
        ("https://hooks.example.com?a=b/c", "hooks.example.com", 443, "/?a=b/c", "hooks.example.com"),
        ("https://h.example.com/a%20b?x=%2F&y=:@!$'()*+,;~-._", "h.example.com", 443,
         "/a%20b?x=%2F&y=:@!$'()*+,;~-._", "h.example.com"),
        ("https://h.example.com/x?next=https://127.0.0.1/", "h.example.com", 443, "/x?next=https://127.0.0.1/",
         "h.example.com"),
        ("https://h.example.com//127.0.0.1/", "h.example.com", 443, "//127.0.0.1/", "h.example.com"),
        ("https://under_score.example.com/", "under_score.example.com", 443, "/", "under_score.example.com"),
        ("https://127.0.0.1.example.com/", "127.0.0.1.example.com", 443, "/", "127.0.0.1.example.com"),
        ("https://bücher.example.com/", "xn--bcher-kva.example.com", 443, "/", "xn--bcher-kva.example.com"),
        ("https://Bücher.example.com/", "xn--bcher-kva.example.com", 443, "/", "xn--bcher-kva.example.com"),
        ("https://straße.example.com/", "xn--strae-oqa.example.com", 443, "/", "xn--strae-oqa.example.com"),
        ("https://xn--bcher-kva.example.com/", "xn--bcher-kva.example.com", 443, "/", "xn--bcher-kva.example.com"),
    ],
)  # fmt: skip
def test_a_public_https_url_is_taken_apart(url: str, host: str, port: int, path: str, authority: str) -> None:
    target, addresses = POLICY.admit(url, lambda host, port: ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:1"])

    assert (target.tls, target.host, target.port, target.path, target.authority) == (True, host, port, path, authority)
    assert addresses == ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:1"]


@pytest.mark.parametrize(
    "address",
    """
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255
    169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0
    198.51.99.255 203.0.114.0 223.255.255.255 2001:200::1 2001:4860:4860::8888 2003::1 2606:4700:4700::1111 3ffe::1
    """.split(),
)
def test_an_address_beside_a_denied_block_is_public(address: str) -> None:
    assert POLICY.refusal(address) is None


def test_the_name_is_looked_up_once_and_the_checked_addresses_are_the_answer() -> None:
    """A resolver that answers public first and loopback from then on gets no second question."""
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["93.184.215.14"] if len(asked) == 1 else ["127.0.0.1"]

    assert POLICY.admit("https://rebinding.example.com/", rebinding)[1] == ["93.184.215.14"]
    assert asked == ["rebinding.example.com"]
    with pytest.raises(EgressRefused):
        POLICY.admit("https://rebinding.example.com/", rebinding)


def test_a_refusal_does_not_tell_what_a_name_resolves_to() -> None:
    with pytest.raises(EgressRefused) as refused:
        POLICY.admit("https://intranet.example.com/", lambda host, port: ["10.20.30.40"])

    assert "10.20.30.40" not in refused.value.message
    assert "METAQORE_WEBHOOK_ALLOW_PRIVATE" in refused.value.message


@pytest.mark.parametrize(
    ("url", "addresses", "connects_to"),
    [
        ("http://127.0.0.1:9000/in", [], "127.0.0.1"),
        ("http://[::1]:9000/in", [], "::1"),
        ("http://localhost:9000/", ["127.0.0.1"], "127.0.0.1"),
        ("http://receiver:80/", ["172.18.0.4"], "172.18.0.4"),
        ("https://hooks.corp.example.com:12345/", ["10.1.2.3"], "10.1.2.3"),
        ("https://hooks.corp.example.com/", ["fd00::7"], "fd00::7"),
        ("https://hooks.example.com/", ["93.184.215.14"], "93.184.215.14"),
    ],
)
def test_for_tests_on_one_machine_private_receivers_can_be_allowed(
    url: str, addresses: list[str], connects_to: str
) -> None:
    assert LOCAL.admit(url, lambda host, port: addresses)[1] == [connects_to]


@pytest.mark.parametrize(
    "url",
    """
    http://169.254.169.254/ http://[fe80::1]/ http://0.0.0.0/ http://[::]/ http://224.0.0.1/ http://100.64.0.1/
    http://[::ffff:127.0.0.1]/ http://[64:ff9b::7f00:1]/ http://[2002:7f00:1::1]/ http://0x7f.1/ http://2130706433/
    http://127.1/ http://user@127.0.0.1/ http://127.0.0.1:0/ http://127.0.0.1:65536/ ftp://127.0.0.1/
    """.split(),
)
def test_even_then_neither_clouds_nor_disguises_are_reached(url: str) -> None:
    with pytest.raises(EgressRefused):
        LOCAL.admit(url, lambda host, port: [host])


@given(st.ip_addresses(v=4).map(str), st.ip_addresses(v=4).map(str))
def test_an_ipv6_address_that_carries_an_ipv4_one_is_always_refused(v4: str, other: str) -> None:
    number, second = int(ipaddress.IPv4Address(v4)), int(ipaddress.IPv4Address(other))
    carriers = {
        "mapped": 0xFFFF << 32 | number,
        "translated": 0xFFFF << 48 | number,
        "NAT64": 0x64FF9B << 96 | number,
        "local NAT64": 0x64FF9B0001 << 80 | number,
        "6to4": 0x2002 << 112 | number << 80 | second,
        "Teredo": 0x20010000 << 96 | second << 64 | number ^ 0xFFFFFFFF,
        "ISATAP": 0x2606280002200001 << 64 | 0x00005EFE << 32 | number,
    }

    for name, value in carriers.items():
        address = ipaddress.IPv6Address(value)
        assert embedded_ipv4(address) == ipaddress.IPv4Address(v4), name
        assert POLICY.refusal(str(address)) and LOCAL.refusal(str(address)), name


@given(st.ip_addresses())
def test_whatever_python_calls_not_global_is_refused_too(address: ipaddress.IPv4Address) -> None:
    """``is_global`` lets too much through, but nothing that it holds back may pass."""
    if not address.is_global or address.is_multicast:
        assert POLICY.refusal(str(address))


def test_the_addresses_of_the_table_are_what_the_name_says() -> None:
    assert len(ADDRESSES) == len(set(ADDRESSES))
    assert all(POLICY.refusal(address) for address in ADDRESSES)


@given(st.text(max_size=60))
def test_no_text_is_admitted_that_is_not_a_url(text: str) -> None:
    with pytest.raises(EgressRefused):
        POLICY.parse(text)


@given(st.text("abz09.-:/?#@[]%\\ \t\r\n_é。1", max_size=30))
def test_whatever_is_admitted_is_plain(rest: str) -> None:
    """What goes into a request's first line and its Host header holds nothing that could end them."""
    try:
        target = POLICY.parse("https://hooks." + rest)
    except EgressRefused:
        return
    assert target.host.isascii() and set(target.host) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-_")
    assert target.path.isascii() and target.path.startswith("/") and not set(target.path) & set(" \r\n\t\\#\x00")
    assert target.port in (443, 8443)
