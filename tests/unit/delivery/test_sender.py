from __future__ import annotations

from email.utils import formatdate

import pytest

from metaqore.clock import now_ms
from metaqore.delivery import signing
from metaqore.delivery.egress import EgressPolicy, EgressRefused
from metaqore.delivery.ports import Reply, Unreachable
from metaqore.delivery.webhooks import Sender, judge, parse_retry_after
from tests.webhooks import START, Clock, FakeNetwork, Sent, make_delivery, make_endpoint

OLD = "whsec_" + "B" * 43 + "="


def sender(network: FakeNetwork, clock: Clock | None = None, *, allow_private: bool = False) -> Sender:
    return Sender(network, EgressPolicy(allow_private=allow_private), clock=clock or Clock(), jitter=lambda: 0.0)


@pytest.mark.parametrize(
    ("status", "attempt", "state", "wait_s"),
    [
        *((status, 1, "delivered", 0) for status in (200, 201, 202, 204, 206, 299)),
        *((status, 1, "pending", 5) for status in (301, 302, 303, 307, 308, 304)),
        *((status, 1, "pending", 5) for status in (400, 401, 403, 404, 408, 409, 413, 422, 429)),
        *((status, 1, "pending", 5) for status in (500, 501, 502, 503, 504, 599, 101, 999)),
        (500, 2, "pending", 300),
        (500, 9, "pending", 86400),
        (500, 10, "dead", 0),
        (500, 11, "dead", 0),
        (200, 10, "delivered", 0),
        (410, 1, "dead", 0),
        (410, 10, "dead", 0),
    ],
)
def test_what_an_answer_means(status: int, attempt: int, state: str, wait_s: int) -> None:
    attempted = judge(
        make_delivery(attempt=attempt, fence=4), Reply(status=status), None, now=START, latency_ms=7, jitter=0.0
    )

    assert (attempted.state, attempted.next_at - START, attempted.status) == (state, wait_s * 1000, status)
    assert (attempted.delivery, attempted.fence, attempted.latency_ms) == ("del_1", 4, 7)
    assert attempted.disable_endpoint is (status == 410)
    assert attempted.reason == (None if state == "delivered" else f"status_{status}")
    assert attempted.pause_until is None


@pytest.mark.parametrize(("attempt", "state"), [(1, "pending"), (9, "pending"), (10, "dead")])
def test_no_answer_is_tried_again_until_the_attempts_are_used_up(attempt: int, state: str) -> None:
    attempted = judge(make_delivery(attempt=attempt), None, "timeout: none", now=START, latency_ms=1, jitter=0.0)

    assert (attempted.state, attempted.status, attempted.reason) == (state, None, "timeout")


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_retry_after_pauses_the_delivery_and_its_endpoint(status: int) -> None:
    attempted = judge(
        make_delivery(), Reply(status=status, retry_after="120"), None, now=START, latency_ms=0, jitter=0.0
    )

    assert attempted.next_at == attempted.pause_until == START + 120_000


@pytest.mark.parametrize("status", [200, 301, 404, 410, 500])
def test_a_retry_after_means_nothing_with_another_status(status: int) -> None:
    attempted = judge(
        make_delivery(), Reply(status=status, retry_after="120"), None, now=START, latency_ms=0, jitter=0.0
    )

    assert attempted.pause_until is None and attempted.next_at <= START + 5_000


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("120", 120.0), (" 0 ", 0.0),
     (formatdate(START / 1000 + 90, usegmt=True), 90.0), (formatdate(0, usegmt=True), 0.0),
     (None, None), ("", None), ("soon", None), ("-5", None), ("1.5", None), ("9" * 40, None)],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, START) == seconds


def test_a_repeat_keeps_its_id_and_body_and_has_the_time_of_its_attempt() -> None:
    network, clock = FakeNetwork(lambda sent: Reply(status=500)), Clock()
    for attempt in (1, 2):
        clock.now = START + attempt * 60_000
        sender(network, clock).attempt(make_delivery(attempt=attempt))

    first, second = network.sent
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == "evt_1" == first.event["id"]
    assert first.body == second.body
    assert [int(s.headers["webhook-timestamp"]) for s in network.sent] == [START // 1000 + 60, START // 1000 + 120]
    for sent in network.sent:
        stamp = int(sent.headers["webhook-timestamp"])
        signing.verify(make_endpoint().secret, sent.headers, sent.body, now_s=stamp)


def test_during_a_rotation_both_secrets_sign() -> None:
    network = FakeNetwork()
    rotating = make_endpoint(previous_secret=OLD, previous_until=START + 1)

    sender(network).attempt(make_delivery(endpoint=rotating))

    for secret in (rotating.secret, OLD):
        signing.verify(secret, network.sent[0].headers, network.sent[0].body, now_s=START // 1000)


def test_it_connects_to_the_addresses_that_were_checked() -> None:
    network = FakeNetwork()
    network.addresses = lambda host: ["93.184.215.14", "93.184.215.15"]

    assert sender(network).attempt(make_delivery()).state == "delivered"

    sent = network.sent[0]
    assert (sent.target.host, sent.addresses) == ("hooks.example.com", ["93.184.215.14", "93.184.215.15"])
    assert network.resolved == ["hooks.example.com"]


def test_a_name_that_turns_to_a_private_address_after_registration_is_not_sent_to() -> None:
    """Public when it was registered and at the first attempt; loopback from then on, and public again later."""
    network = FakeNetwork()
    answers = [["93.184.215.14"], ["93.184.215.14"], ["127.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["93.184.215.14"]]
    network.addresses = lambda host: answers[len(network.resolved) - 1]
    made = sender(network)

    made.check("https://hooks.example.com/in")
    states = [made.attempt(make_delivery(attempt=n)) for n in range(1, 5)]

    assert [(s.state, s.reason) for s in states] == [
        ("delivered", None), ("pending", "url_refused"), ("pending", "url_refused"), ("delivered", None)
    ]  # fmt: skip
    assert [sent.addresses for sent in network.sent] == [["93.184.215.14"]] * 2


def test_registration_refuses_what_does_not_resolve_or_resolves_to_private_addresses() -> None:
    network = FakeNetwork()

    def no_such_name(host: str) -> list[str]:
        raise Unreachable("dns", f"the name {host} does not resolve")

    network.addresses = no_such_name
    with pytest.raises(EgressRefused, match="does not resolve"):
        sender(network).check("https://nowhere.example.com/")
    network.addresses = lambda host: ["10.0.0.1"]
    with pytest.raises(EgressRefused, match="public address"):
        sender(network).check("https://hooks.example.com/")
    sender(network, allow_private=True).check("http://hooks.example.com:9000/")


def test_what_the_network_reports_becomes_the_reason() -> None:
    def broken(sent: Sent) -> Reply:
        raise Unreachable("tls", "no TLS connection to hooks.example.com: CERTIFICATE_VERIFY_FAILED")

    attempted = sender(FakeNetwork(broken)).attempt(make_delivery())

    assert (attempted.state, attempted.status, attempted.reason) == ("pending", None, "tls")


def test_a_stored_secret_that_cannot_sign_is_an_error_of_the_delivery_and_sends_nothing() -> None:
    network = FakeNetwork()

    attempted = sender(network).attempt(make_delivery(endpoint=make_endpoint(secret="whsec_broken!")))

    assert (attempted.state, attempted.reason, network.sent) == ("pending", "invalid_input", [])


def test_the_clock_of_a_sender_is_the_wall_clock_unless_told_otherwise() -> None:
    network = FakeNetwork()
    before = now_ms()

    Sender(network, EgressPolicy()).attempt(make_delivery())

    assert before // 1000 <= int(network.sent[0].headers["webhook-timestamp"]) <= now_ms() // 1000
