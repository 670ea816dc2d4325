"""``metaqore webhooks listen`` receives what the sender sends."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from rich.console import Console

from metaqore.adapters.egress_http import SocketNetwork
from metaqore.cli.webhooks import Receiver, group
from metaqore.clock import now_ms
from metaqore.delivery import signing
from metaqore.delivery.egress import EgressPolicy
from metaqore.delivery.webhooks import Sender
from tests.running import wait_until
from tests.webhooks import make_delivery, make_endpoint

SECRET, OTHER = signing.mint_secret(), signing.mint_secret()


class Listening:
    """A listener in this process, and what it printed."""

    def __init__(self, *secrets: str, count: int | None = None) -> None:
        self.output = io.StringIO()
        self.server = Receiver(0, secrets, Console(file=self.output, width=300), count)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def send(self, secret: str = SECRET) -> int | None:
        """Send a delivery signed with ``secret``; return the status of the answer."""
        before = self.server.received
        endpoint = make_endpoint(url=f"http://127.0.0.1:{self.server.server_port}/", secret=secret)
        sender = Sender(SocketNetwork(), EgressPolicy(allow_private=True))
        status = sender.attempt(make_delivery(endpoint=endpoint, created_at=now_ms())).status
        wait_until(lambda: self.server.received > before, "the delivery is printed")
        return status

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def listening() -> Iterator[Listening]:
    made = Listening(SECRET)
    yield made
    made.close()


def test_a_delivery_is_printed_and_its_signature_verified(listening: Listening) -> None:
    assert listening.send() == 204
    assert "verified" in listening.output.getvalue() and '"type":"artifact.created"' in listening.output.getvalue()
    assert "again" not in listening.output.getvalue()

    assert listening.send() == 204
    assert "evt_1 again" in listening.output.getvalue()


def test_a_bad_signature_is_shown_and_answered_with_401(listening: Listening) -> None:
    assert listening.send(OTHER) == 401
    assert "BAD SIGNATURE" in listening.output.getvalue()


def test_during_a_rotation_either_secret_will_do() -> None:
    made = Listening(OTHER, SECRET)
    assert made.send() == made.send(OTHER) == 204
    made.close()


def test_without_a_secret_it_says_that_nothing_is_verified() -> None:
    made = Listening()
    assert made.send() == 204 and "not verified" in made.output.getvalue()
    made.close()


def test_it_ends_after_as_many_as_were_asked_for() -> None:
    made = Listening(SECRET, count=1)
    made.send()
    made.thread.join(60)
    assert not made.thread.is_alive()
    made.server.server_close()


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"POST / HTTP/1.1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\nnull", b"401"),
        (b"GET / HTTP/1.1\r\n\r\n", b"501"),
    ],
)
def test_what_is_no_delivery_is_refused(listening: Listening, request_text: bytes, status: bytes) -> None:
    with socket.create_connection(("127.0.0.1", listening.server.server_port), timeout=60) as wire:
        wire.sendall(request_text)
        assert status in wire.recv(4096).split(b"\r\n")[0]


def test_a_taken_port_and_a_bad_secret_are_one_clear_line(listening: Listening) -> None:
    taken = CliRunner().invoke(group, ["listen", "--port", str(listening.server.server_port)])
    bad = CliRunner().invoke(group, ["listen", "--port", "0", "--secret", "hunter2"])

    assert taken.exit_code == 1 and "choose another with --port" in taken.output
    assert bad.exit_code == 1 and "whsec_" in bad.output and "hunter2" not in bad.output
