"""``metaqore webhooks``: what a receiver of webhooks needs while it is being written."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import click
import msgspec
from rich.console import Console
from rich.text import Text

from metaqore.clock import now_ms
from metaqore.delivery import signing
from metaqore.delivery.signing import BadSignature
from metaqore.errors import MetaQoreError

#: Larger than any body that MetaQore sends.
_MAX_BODY_BYTES = 65536
#: How many ids are remembered to tell a repeat.
_REMEMBERED = 10_000


@click.group("webhooks")
def group() -> None:
    """Receive webhooks on this machine."""


@group.command("listen")
@click.option("--port", type=click.IntRange(0, 65535), default=9000, show_default=True, help="0 takes any free port.")
@click.option("--secret", "secrets", multiple=True, help="The endpoint's whsec_… secret; repeat it during a rotation.")
@click.option("--count", type=click.IntRange(min=1), help="End after this many deliveries.")
def listen(port: int, secrets: tuple[str, ...], count: int | None) -> None:
    """Print the deliveries that arrive on 127.0.0.1, and whether their signatures hold.

    Register http://127.0.0.1:PORT/ as an endpoint; MetaQore must run with METAQORE_WEBHOOK_ALLOW_PRIVATE=true. Without
    --secret nothing is verified. A delivery whose signature does not hold is answered with 401.
    """
    console = Console(highlight=False)
    try:
        for secret in secrets:
            signing.sign(secret, "check", 0, b"")
        server = Receiver(port, secrets, console, count)
    except OSError as error:
        raise click.ClickException(f"port {port} cannot be used ({error}): choose another with --port") from error
    except MetaQoreError as error:
        raise click.ClickException(error.message) from error
    console.print(f"listening on http://127.0.0.1:{server.server_port}/ · Ctrl-C ends")
    with server:
        try:
            server.serve_forever(poll_interval=0.1)
        except KeyboardInterrupt:
            console.print(f"{server.received} received")


class Receiver(ThreadingHTTPServer):
    """A receiver as one should be: it verifies, tells repeats by ``webhook-id``, and answers at once."""

    daemon_threads = True

    def __init__(self, port: int, secrets: Sequence[str], console: Console, count: int | None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.secrets = secrets
        self.received = 0
        self._console = console
        self._count = count
        self._seen: deque[str] = deque(maxlen=_REMEMBERED)
        self._lock = threading.Lock()

    def show(self, message_id: str, body: bytes, verdict: str) -> None:
        """Print one delivery; end where it was the last that was asked for."""
        try:
            event = msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError:
            event = {}
        with self._lock:
            repeat = message_id in self._seen
            self._seen.append(message_id)
            self.received += 1
            line = Text.assemble(
                (time.strftime("%H:%M:%S "), "dim"),
                (f"{verdict:<14} ", "green" if verdict == "verified" else "bold red"),
                (f"{event.get('type', '?')} ", "bold"), f"{event.get('subject', '')} ",
                (f"{message_id}{' again' if repeat else ''}", "dim"),
            )  # fmt: skip
            self._console.print(line, soft_wrap=True)
            self._console.print(Text(body.decode("utf-8", "replace"), "dim"), soft_wrap=True)
            if self._count is not None and self.received >= self._count:
                # From another thread, as shutdown() waits for the serving loop.
                threading.Thread(target=self.shutdown, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    """Answers 204, 401 where no secret fits, 400 or 413 where there is no usable body."""

    timeout = 10

    def do_POST(self) -> None:
        server = cast(Receiver, self.server)
        length = self.headers.get("content-length", "")
        if not length.isdigit():
            self._answer(400)
        elif int(length) > _MAX_BODY_BYTES:
            self._answer(413)
        else:
            body = self.rfile.read(int(length))
            headers = {name.lower(): value for name, value in self.headers.items()}
            verdict = _verdict(server.secrets, headers, body)
            self._answer(401 if verdict == "BAD SIGNATURE" else 204)
            server.show(headers.get("webhook-id", "?"), body, verdict)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Print nothing of its own."""


def _verdict(secrets: Sequence[str], headers: dict[str, str], body: bytes) -> str:
    if not secrets:
        return "not verified"
    for secret in secrets:
        try:
            signing.verify(secret, headers, body, now_ms() // 1000)
        except BadSignature:
            continue
        return "verified"
    return "BAD SIGNATURE"
