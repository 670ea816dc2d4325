"""Name look-up and HTTP for webhooks: to pinned addresses, with one deadline for everything, and nothing followed.

Written on sockets because each safety rule is about what a usual client does by itself: resolve the name a second
time, follow redirects, read proxies and passwords from the environment, decompress, and count its time-out anew for
every byte that a slow receiver sends.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from metaqore.delivery.egress import Target
from metaqore.delivery.ports import Reply, Unreachable

#: So much of an answer is read, head and body together; what comes after is not waited for.
MAX_RESPONSE_BYTES = 65536
#: A name may have more addresses; the first few say enough about whether it can be reached.
_MAX_ADDRESSES = 4


class SocketNetwork:
    """See ``metaqore.delivery.ports.Network``. Safe to use from many threads; keeps no connection.

    Args:
        tls: for tests; the system's trusted authorities otherwise.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls

    def resolve(self, host: str, port: int, timeout_s: float) -> list[str]:
        """Return all addresses of ``host``."""
        answers: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

        def look_up() -> None:
            try:
                found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
                answers.put([str(address[0]) for *_, address in found])
            except (OSError, UnicodeError) as error:
                answers.put(error if isinstance(error, OSError) else OSError(str(error)))

        # getaddrinfo knows no time-out; a look-up that hangs is left to itself.
        threading.Thread(target=look_up, name="webhook-dns", daemon=True).start()
        try:
            answer = answers.get(timeout=timeout_s)
        except queue.Empty:
            raise Unreachable("dns", f"the name {host} was not resolved in time") from None
        if isinstance(answer, OSError):
            raise Unreachable("dns", f"the name {host} does not resolve")
        return answer

    def post(
        self, target: Target, addresses: Sequence[str], headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Reply:
        """POST ``body``; see the port."""
        deadline = time.monotonic() + timeout_s
        try:
            plain = _connect(addresses[:_MAX_ADDRESSES], target.port, deadline)
            with plain, self._secure(plain, target, deadline) as wire:
                _send(wire, _head(target, headers, body) + body, deadline)
                return _read(wire, deadline)
        except TimeoutError as error:
            raise Unreachable("timeout", f"no answer within {timeout_s:.1f} s") from error
        except ssl.SSLError as error:
            raise Unreachable("tls", f"no TLS connection to {target.host}: {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable("connection", f"the connection broke: {type(error).__name__}") from error

    def _secure(self, plain: socket.socket, target: Target, deadline: float) -> socket.socket:
        if not target.tls:
            return plain
        if self._tls is None:
            self._tls = ssl.create_default_context()
        plain.settimeout(_left(deadline))
        # The certificate must be for the name, though the connection was made to an address.
        return self._tls.wrap_socket(plain, server_hostname=target.host)


def _connect(addresses: Sequence[str], port: int, deadline: float) -> socket.socket:
    """Return a connection to the first address that takes one, each given an equal share of the time."""
    failure: OSError | None = None
    for n, address in enumerate(addresses):
        family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
        wire = socket.socket(family, socket.SOCK_STREAM)
        try:
            wire.settimeout(_left(deadline) / (len(addresses) - n))
            wire.connect((address, port))
            return wire
        except OSError as error:
            wire.close()
            failure = error
    if isinstance(failure, TimeoutError):
        raise failure
    reason = type(failure).__name__ if failure is not None else "no address"
    raise Unreachable("connect", f"no connection on port {port}: {reason}")


def _head(target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"POST {target.path} HTTP/1.1", f"host: {target.authority}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {len(body)}", "accept-encoding: identity", "connection: close", "", ""]
    return "\r\n".join(lines).encode("ascii")


def _send(wire: socket.socket, data: bytes, deadline: float) -> None:
    rest = memoryview(data)
    while rest:
        wire.settimeout(_left(deadline))
        rest = rest[wire.send(rest) :]


def _read(wire: socket.socket, deadline: float) -> Reply:
    response = http.client.HTTPResponse(_Readable(wire, deadline), method="POST")  # type: ignore[arg-type]
    with contextlib.closing(response):
        response.begin()
        # The status decides. Reading on only spares the receiver a reset connection.
        with contextlib.suppress(OSError, http.client.HTTPException):
            response.read(MAX_RESPONSE_BYTES)
        return Reply(status=response.status, retry_after=response.headers.get("retry-after"))


class _Readable:
    """The one thing that ``HTTPResponse`` wants of a socket: a file to read from."""

    def __init__(self, wire: socket.socket, deadline: float) -> None:
        self._raw = _Raw(wire, deadline)

    def makefile(self, *_: Any) -> io.BufferedReader:
        return io.BufferedReader(self._raw)


class _Raw(io.RawIOBase):
    """A socket that ends after ``MAX_RESPONSE_BYTES`` and gives each read only what is left of the time.

    A time-out of its own for each read would let a drip of bytes go on for ever.
    """

    def __init__(self, wire: socket.socket, deadline: float) -> None:
        self._wire = wire
        self._deadline = deadline
        self._room = MAX_RESPONSE_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._room == 0:
            return 0
        self._wire.settimeout(_left(self._deadline))
        n = self._wire.recv_into(memoryview(buffer)[: self._room])
        self._room -= n
        return n


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
