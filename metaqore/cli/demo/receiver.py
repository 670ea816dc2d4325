"""What listens on this machine: a webhook receiver, and the place where a cloud provider would be."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import msgspec
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from metaqore.cli.local_server import LocalServer


@dataclass(frozen=True, slots=True)
class Received:
    """One webhook as it came in: headers by lower-case name, and the bytes of the body."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def type(self) -> str:
        """What happened."""
        return str(msgspec.json.decode(self.body).get("type", ""))


def is_signed(received: Received, secret: str) -> bool:
    """Return whether a message is signed with ``secret``, as the library of Standard Webhooks sees it."""
    try:
        Webhook(secret).verify(received.body, dict(received.headers))
    except WebhookVerificationError:
        return False
    return True


class Receiver(LocalServer):
    """A webhook receiver on a free port of 127.0.0.1, for the time of a ``with`` block."""

    def __init__(self) -> None:
        self._received: list[Received] = []
        self._arrived = threading.Condition()
        super().__init__("receiver", self._note)

    @property
    def url(self) -> str:
        """Where to send webhooks."""
        return f"http://127.0.0.1:{self.port}/hooks"

    @property
    def received(self) -> list[Received]:
        """What has come in so far."""
        with self._arrived:
            return list(self._received)

    def wait_for(self, types: set[str], seconds: float) -> bool:
        """Wait until a webhook of each type has come in; return whether that was in time."""
        deadline = time.monotonic() + seconds
        with self._arrived:
            return self._arrived.wait_for(
                lambda: types <= {each.type for each in self._received}, deadline - time.monotonic()
            )

    def _note(self, headers: Mapping[str, str], body: bytes) -> None:
        with self._arrived:
            self._received.append(Received(headers, body))
            self._arrived.notify_all()


class Listener:
    """Stands where a cloud provider would be and counts who connects; it never answers."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        # Closed at the end: what has connected by then is counted first.
        self._end, self._ended = socket.socketpair()
        self.connections = 0
        self._thread = threading.Thread(target=self._count, name="listener", daemon=True)

    @property
    def port(self) -> int:
        """Its port on 127.0.0.1."""
        return int(self._socket.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.close()
        self._thread.join()
        self._ended.close()
        self._socket.close()

    def _count(self) -> None:
        while self._socket in select.select([self._socket, self._ended], [], [])[0]:
            connection, _ = self._socket.accept()
            self.connections += 1
            connection.close()
