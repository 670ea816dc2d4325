"""A zoo of receivers on 127.0.0.1: each does one thing that receivers do, or a hostile one might."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from metaqore.adapters.egress_http import SocketNetwork


@dataclass
class Request:
    """One request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes


Behaviour = Callable[[socket.socket, "Receiver"], None]


@dataclass
class Receiver:
    """A server that reads a request and then does what its behaviour says; ``connections`` counts every accept."""

    behaviour: Behaviour
    reads: bool = True
    tls: ssl.SSLContext | None = None
    address: str = "127.0.0.1"
    port: int = 0
    connections: int = 0
    requests: list[Request] = field(default_factory=list)
    #: Bytes that a behaviour got rid of before the other side hung up.
    sent: int = 0
    #: Names that clients asked for (SNI).
    names: list[str | None] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    @contextlib.contextmanager
    def running(self) -> Iterator[Receiver]:
        """Listen until the block ends."""
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((self.address, self.port))
            listener.listen(128)
            listener.settimeout(0.05)
            self.port = listener.getsockname()[1]
            acceptor = threading.Thread(target=self._accept, args=(listener,), daemon=True)
            acceptor.start()
            try:
                yield self
            finally:
                self.closing.set()
                acceptor.join(60)
                for thread in self._threads:
                    thread.join(60)

    @property
    def url(self) -> str:
        """Where to send to."""
        return f"http://{self.address}:{self.port}/in?x=1"

    @property
    def ids(self) -> list[str]:
        """The ``webhook-id`` of every request, in the order in which they came."""
        return [request.headers["webhook-id"] for request in list(self.requests)]

    def _accept(self, listener: socket.socket) -> None:
        while not self.closing.is_set():
            try:
                wire, _ = listener.accept()
            except TimeoutError:
                continue
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(wire,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, wire: socket.socket) -> None:
        wire.settimeout(20)
        with contextlib.suppress(OSError), wire:
            secure = self._secure(wire)
            with secure:
                if self.reads:
                    self.requests.append(_read(secure))
                self.behaviour(secure, self)

    def _secure(self, wire: socket.socket) -> socket.socket:
        if self.tls is None:
            return wire

        def named(_wire: object, name: str | None, _context: object) -> None:
            self.names.append(name)

        self.tls.sni_callback = named
        return self.tls.wrap_socket(wire, server_side=True)


def _read(wire: socket.socket) -> Request:
    raw = b""
    while b"\r\n\r\n" not in raw:
        piece = wire.recv(65536)
        if not piece:
            raise ConnectionError
        raw += piece
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *rest = head.decode("ascii").split("\r\n")
    headers = {name.lower(): value for name, _, value in (entry.partition(": ") for entry in rest)}
    while len(body) < int(headers["content-length"]):
        body += wire.recv(65536)
    return Request(line, headers, body)


def answers(status: int, headers: str = "", body: bytes = b"ok") -> Behaviour:
    """Answer with a status at once."""

    def behave(wire: socket.socket, _receiver: Receiver) -> None:
        wire.sendall(f"HTTP/1.1 {status} X\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body)

    return behave


def hangs(_wire: socket.socket, receiver: Receiver) -> None:
    """Say nothing until the end of the test."""
    receiver.closing.wait(60)


def drips(head: bytes) -> Behaviour:
    """Send ``head`` at once, and from then on a byte ten times a second: no time-out of a single read ever ends it."""

    def behave(wire: socket.socket, receiver: Receiver) -> None:
        wire.sendall(head)
        while not receiver.closing.wait(0.1):
            receiver.sent += wire.send(b"a")

    return behave


def resets(wire: socket.socket, _receiver: Receiver) -> None:
    """Break the connection with a TCP reset."""
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def cuts(_wire: socket.socket, _receiver: Receiver) -> None:
    """Have the effect, and hang up before the status."""


def floods(piece: bytes, head: bytes = b"") -> Behaviour:
    """Send ``piece`` over and over for as long as somebody takes it."""

    def behave(wire: socket.socket, receiver: Receiver) -> None:
        wire.sendall(head)
        while not receiver.closing.is_set():
            receiver.sent += wire.send(piece)

    return behave


class NamedNetwork(SocketNetwork):
    """The real network, with names that a test has thought up."""

    def __init__(self, names: Callable[[str], list[str]], tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self._names = names

    def resolve(self, host: str, port: int, timeout_s: float) -> list[str]:
        """Answer from the test's table."""
        return self._names(host)


class Authority:
    """A certificate authority of this test's own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test Authority")])
        self._now = datetime.datetime.now(datetime.UTC)
        certificate = self._signed(self._name, self._key, authority=True, names=[], days=30)
        self._pem = certificate.public_bytes(serialization.Encoding.PEM).decode()

    def trusting(self) -> ssl.SSLContext:
        """Return what a client has that trusts this authority alone."""
        return ssl.create_default_context(cadata=self._pem)

    def server(self, *names: str, days: int = 30) -> ssl.SSLContext:
        """Return a server's side with a certificate for ``names``; negative ``days`` make it one that has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        certificate = self._signed(subject, key, authority=False, names=list(names), days=days)
        path = self._folder / f"{names[0]}{days}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool, names: list[str], days: int
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - datetime.timedelta(days=60))
            .not_valid_after(self._now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(map(x509.DNSName, names))), critical=False)
        return builder.sign(self._key, hashes.SHA256())
