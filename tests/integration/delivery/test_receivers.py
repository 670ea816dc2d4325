"""The sender against real receivers on real sockets, well-behaved and not."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from pathlib import Path

import pytest

from metaqore.adapters.egress_http import MAX_RESPONSE_BYTES, SocketNetwork
from metaqore.delivery import signing
from metaqore.delivery.dispatch import Bulkheads
from metaqore.delivery.egress import EgressPolicy
from metaqore.delivery.ports import Network, Unreachable
from metaqore.store.engine import Database
from tests.integration.delivery.conftest import Start
from tests.integration.delivery.receivers import (
    Authority,
    Behaviour,
    NamedNetwork,
    answers,
    cuts,
    drips,
    floods,
    hangs,
    resets,
)
from tests.running import wait_until
from tests.webhooks import START, Outbox

LOCAL = EgressPolicy(allow_private=True)
OK = b"HTTP/1.1 200 OK\r\n"


def outbox_of(database: Database, network: Network | None = None, **options: object) -> Outbox:
    return Outbox(database, network or SocketNetwork(), **{"policy": LOCAL, "timeout_s": 0.6, **options})  # type: ignore[arg-type]


def deliver_one(
    database: Database, url: str, network: Network | None = None, **options: object
) -> tuple[Outbox, object]:
    """Send one event to ``url`` once, and return the delivery's row."""
    outbox = outbox_of(database, network, **options)
    outbox.endpoint(url)
    outbox.events()
    assert outbox.dispatcher.run() == 1
    (row,) = [row for row in outbox.deliveries() if row["event_seq"] == 1]
    return outbox, row


def test_a_delivery_arrives_signed_with_no_more_headers_than_it_needs(sqlite: Database, receiver: Start) -> None:
    there = receiver(answers(204, body=b""))
    outbox = outbox_of(sqlite)
    _, secret = outbox.endpoint(there.url)
    outbox.events()

    assert outbox.dispatcher.run() == 1

    (request,) = there.requests
    assert request.line == "POST /in?x=1 HTTP/1.1"
    signing.verify(secret, request.headers, request.body, now_s=START // 1000)
    assert {name: request.headers[name] for name in ("host", "content-type", "accept-encoding", "connection")} == {
        "host": f"127.0.0.1:{there.port}", "content-type": "application/json", "accept-encoding": "identity",
        "connection": "close",
    }  # fmt: skip
    assert not {"cookie", "authorization", "x-forwarded-for"} & set(request.headers)


@pytest.mark.parametrize(
    ("behaviour", "state", "reason", "wait_s"),
    [
        (answers(200), "delivered", None, 0),
        (answers(200, "content-encoding: gzip\r\n", b"not gzip at all"), "delivered", None, 0),
        (answers(200, "transfer-encoding: chunked\r\n", b"zz\r\nbroken"), "delivered", None, 0),
        (answers(500), "pending", "status_500", 5),
        (answers(503, "retry-after: 120\r\n"), "pending", "status_503", 120),
        (answers(410), "dead", "status_410", 0),
        (answers(301, "location: http://127.0.0.1:1/\r\n"), "pending", "status_301", 5),
        (hangs, "pending", "timeout", 5),
        (drips(b"HTTP/1.1 2"), "pending", "timeout", 5),
        (drips(OK + b"x-slow: "), "pending", "timeout", 5),
        (drips(OK + b"content-length: 100000\r\n\r\n"), "delivered", None, 0),
        (drips(OK + b"transfer-encoding: chunked\r\n\r\n1000\r\n"), "delivered", None, 0),
        (floods(b"HTTP/1.1 100 Continue\r\n\r\n"), "pending", "connection", 5),
        (floods(b"x-more: " + b"a" * 4000 + b"\r\n", OK), "delivered", None, 0),
        (floods(b"a" * 65536), "pending", "connection", 5),
        (floods(b"a" * 65536, OK + b"content-length: 9999999999\r\n\r\n"), "delivered", None, 0),
        (resets, "pending", "connection", 5),
        (cuts, "pending", "connection", 5),
        (floods(b"SSH-2.0-OpenSSH_9\r\n"), "pending", "connection", 5),
    ],
)
def test_what_a_receiver_does_decides_what_becomes_of_the_delivery(
    sqlite: Database, receiver: Start, behaviour: Behaviour, state: str, reason: str | None, wait_s: int
) -> None:
    there = receiver(behaviour)

    outbox, row = deliver_one(sqlite, there.url)

    assert row["state"] == state  # type: ignore[index]
    assert (row["last_error"] or "").partition(":")[0] == (reason or "")  # type: ignore[index]
    assert row["next_at"] - START == wait_s * 1000  # type: ignore[index]
    assert there.connections == 1 and len(there.requests) == 1
    assert outbox.sql("SELECT state FROM webhook_endpoints")[0]["state"] == (
        "disabled" if state == "dead" else "active"
    )


@pytest.mark.parametrize(
    ("behaviour", "reads"),
    [(hangs, False), (drips(OK + b"content-length: 100000\r\n\r\n"), True)],
    ids=["never reads", "drips its body"],
)
def test_the_deadline_ends_what_would_go_on_for_ever(
    sqlite: Database, receiver: Start, behaviour: Behaviour, reads: bool
) -> None:
    there = receiver(behaviour, reads=reads)

    deliver_one(sqlite, there.url)

    # A drip of a hundred thousand bytes at ten a second would last for hours.
    assert there.sent < 100


def test_an_answer_is_read_no_further_than_its_cap(sqlite: Database, receiver: Start) -> None:
    body = b"a" * 32 * 1024 * 1024
    there = receiver(floods(body, OK + f"content-length: {len(body)}\r\n\r\n".encode()))

    _, row = deliver_one(sqlite, there.url)

    assert row["state"] == "delivered"  # type: ignore[index]
    # What the kernel holds in its buffers is beyond anybody's cap; the body as a whole is not taken.
    assert MAX_RESPONSE_BYTES < len(body) > there.sent


def test_an_answer_over_tls_ends_at_its_cap_too(sqlite: Database, receiver: Start, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    flood = floods(b"a" * 16384, OK + b"content-length: 9999999999\r\n\r\n")
    there = receiver(flood, tls=authority.server("hooks.example.com"))
    network = NamedNetwork(lambda host: ["127.0.0.1"], authority.trusting())

    _, row = deliver_one(sqlite, f"https://hooks.example.com:{there.port}/", network, timeout_s=20)

    assert row["state"] == "delivered"  # type: ignore[index]


def test_nobody_listening_is_a_failed_connection(sqlite: Database) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    _, row = deliver_one(sqlite, f"http://127.0.0.1:{port}/")

    assert row["last_error"].startswith("connect: ")  # type: ignore[index]


def test_of_several_addresses_the_first_that_answers_is_taken(sqlite: Database, receiver: Start) -> None:
    there = receiver(answers(200), address="127.0.0.3")
    network = NamedNetwork(lambda host: ["127.0.0.2", "127.0.0.3"])

    _, row = deliver_one(sqlite, f"http://hooks.example.com:{there.port}/", network)

    assert row["state"] == "delivered" and there.requests[0].headers["host"] == f"hooks.example.com:{there.port}"  # type: ignore[index]


def test_a_receiver_that_has_the_effect_and_cuts_the_line_gets_the_same_id_again(
    sqlite: Database, receiver: Start
) -> None:
    there = receiver(cuts)
    outbox = outbox_of(sqlite)
    outbox.endpoint(there.url)
    outbox.events()
    outbox.dispatcher.run()
    there.behaviour = answers(200)

    outbox.until_settled()

    assert len(there.ids) == 2 and len(set(there.ids)) == 1
    assert [row["state"] for row in outbox.deliveries()] == ["delivered"]


def test_receivers_that_hang_hold_up_nobody_else(sqlite: Database, receiver: Start) -> None:
    """One in ten hangs; the healthy ones have everything while the hanging ones still hang."""
    outbox = outbox_of(sqlite, timeout_s=60.0, bulkheads=Bulkheads(threads=16, per_endpoint=2, per_organization=16))
    healthy = [receiver(answers(200)) for _ in range(9)]
    stuck = receiver(hangs)
    for there in (stuck, *healthy):
        outbox.endpoint(there.url)
    outbox.events(20)
    runner = threading.Thread(target=outbox.dispatcher.run)
    runner.start()

    wait_until(lambda: all(len(there.requests) == 20 for there in healthy), "all healthy receivers have everything")
    assert (len(stuck.requests), stuck.connections) == (2, 2)
    outbox.events()
    outbox.dispatcher.run()
    wait_until(lambda: all(len(there.requests) == 21 for there in healthy), "a ring reaches the one that is at work")
    assert stuck.connections == 2 and runner.is_alive()

    outbox.run_now("endpoint.save", id=outbox.deliveries("pending")[0]["endpoint"], state="disabled")
    stuck.closing.set()
    runner.join(60)
    assert not runner.is_alive()
    assert Counter(row["state"] for row in outbox.deliveries()) == {"delivered": 9 * 21, "pending": 21}


def test_at_most_two_requests_are_at_one_receiver_at_once(sqlite: Database, receiver: Start) -> None:
    present, most, lock = 0, 0, threading.Lock()

    def slow(wire: socket.socket, there: object) -> None:
        nonlocal present, most
        with lock:
            present += 1
            most = max(most, present)
        threading.Event().wait(0.01)
        with lock:
            present -= 1
        answers(200)(wire, there)  # type: ignore[arg-type]

    there = receiver(slow)
    outbox = outbox_of(sqlite, timeout_s=10.0)
    outbox.endpoint(there.url)
    outbox.events(30)

    outbox.dispatcher.run()

    assert len(there.requests) == 30 and most == 2


def test_a_name_look_up_that_hangs_ends_with_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(60) and [])

    with pytest.raises(Unreachable) as failure:
        SocketNetwork().resolve("slow.example.com", 443, 0.1)

    assert failure.value.code == "dns" and not released.is_set()
    released.set()


def test_a_name_that_does_not_exist_is_a_failed_look_up() -> None:
    with pytest.raises(Unreachable) as failure:
        SocketNetwork().resolve("does-not-exist.invalid", 443, 10.0)

    assert failure.value.code == "dns"


# TLS


@pytest.mark.parametrize(
    ("names", "days", "trusted", "reason"),
    [
        (["hooks.example.com"], 30, True, None),
        (["*.example.com"], 30, True, None),
        (["other.example.com"], 30, True, "tls"),
        (["hooks.example.com"], -1, True, "tls"),
        (["hooks.example.com"], 30, False, "tls"),
    ],
    ids=["right", "wildcard", "another name", "expired", "unknown authority"],
)
def test_the_certificate_must_be_for_the_name(
    sqlite: Database, receiver: Start, tmp_path: Path, names: list[str], days: int, trusted: bool, reason: str | None
) -> None:
    authority = Authority(tmp_path)
    there = receiver(answers(200), tls=authority.server(*names, days=days))
    network = NamedNetwork(lambda host: ["127.0.0.1"], authority.trusting() if trusted else None)

    _, row = deliver_one(sqlite, f"https://hooks.example.com:{there.port}/", network, timeout_s=20)

    assert (row["last_error"] or "").partition(":")[0] == (reason or "")  # type: ignore[index]
    assert there.names == ["hooks.example.com"]
    assert len(there.requests) == (1 if reason is None else 0)


def test_a_certificate_for_the_address_does_not_stand_in_for_the_name(
    sqlite: Database, receiver: Start, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    there = receiver(answers(200), tls=authority.server("localhost"))

    _, row = deliver_one(
        sqlite, f"https://hooks.example.com:{there.port}/",
        NamedNetwork(lambda host: ["127.0.0.1"], authority.trusting()), timeout_s=20,
    )  # fmt: skip

    assert row["last_error"].startswith("tls: ") and there.requests == []  # type: ignore[index]


def test_a_handshake_that_never_comes_ends_with_the_deadline(sqlite: Database, receiver: Start) -> None:
    there = receiver(hangs, reads=False)

    _, row = deliver_one(
        sqlite, f"https://hooks.example.com:{there.port}/", NamedNetwork(lambda host: ["127.0.0.1"])
    )  # fmt: skip

    assert row["last_error"].startswith("timeout: ")  # type: ignore[index]
