"""An OpenID provider on this machine: real keys, a discovery document and a key set over HTTP."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms


class LocalIssuer:
    """Signs tokens, and answers for its keys."""

    def __init__(self) -> None:
        self.keys: dict[str, tuple[Any, str]] = {}
        self.asked = 0
        self.add("rsa", rsa.generate_private_key(65537, 2048), "RS256")
        self.add("ec", ec.generate_private_key(ec.SECP256R1()), "ES256")
        self.add("ed", ed25519.Ed25519PrivateKey.generate(), "EdDSA")
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(issuer.document(self.path)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._running = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def add(self, kid: str, key: Any, algorithm: str) -> None:
        """Publish one more key."""
        self.keys[kid] = (key, algorithm)

    def document(self, path: str) -> Any:
        """Return what a path answers with."""
        self.asked += 1
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": self.url + "/keys"}
        shared = {"kty": "oct", "kid": "shared", "k": base64.urlsafe_b64encode(b"0" * 32).decode()}
        return {"keys": [shared, *(self._public(kid) for kid in self.keys)]}

    def _public(self, kid: str) -> dict[str, Any]:
        key, algorithm = self.keys[kid]
        made: dict[str, Any] = get_default_algorithms()[algorithm].to_jwk(key.public_key(), as_dict=True)
        return {**made, "kid": kid, "use": "sig"}

    def token(
        self, with_key: str, *, kid: str | None = None, key: Any = None, algorithm: str | None = None,
        lifetime: int | None = 600, header: Mapping[str, Any] | None = None, **claims: Any,
    ) -> str:  # fmt: skip
        """Return a token signed by one of the keys, or by ``key`` under its name."""
        own, own_algorithm = self.keys[with_key]
        now = int(time.time())
        given = {"iss": self.url, "aud": "metaqore", "iat": now, **claims}
        if lifetime is not None:
            given["exp"] = now + lifetime
        headers = {"kid": kid or with_key, **(header or {})}
        return jwt.encode(given, key or own, algorithm=algorithm or own_algorithm, headers=headers)

    def confused(self, kid: str, **claims: Any) -> str:
        """Return a token whose HMAC secret is the public key of ``kid`` (RFC 8725 §2.1)."""
        pem = (
            self.keys[kid][0]
            .public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        return self._by_hand({"alg": "HS256", "kid": kid}, claims, lambda data: hmac.digest(pem, data, hashlib.sha256))

    def unsigned(self, **claims: Any) -> str:
        """Return a token that says it needs no signature."""
        return self._by_hand({"alg": "none"}, claims, lambda _: b"")

    def wrong(self, **good: Any) -> dict[str, str]:
        """Return what is wrong → a token of which it is; ``good`` are claims with which one would be accepted."""
        less = {name: {key: value for key, value in good.items() if key != name} for name in ("sub", "org")}
        return {
            "another audience": self.token("ec", **good, aud="somebody"),
            "another issuer": self.token("ec", **good, iss="https://elsewhere.example"),
            "expired": self.token("ec", **good, lifetime=-3600),
            "not yet": self.token("ec", **good, nbf=int(time.time()) + 3600),
            "no subject": self.token("ec", **less["sub"]),
            "an empty subject": self.token("ec", **less["sub"], sub=""),
            "no organization": self.token("ec", **less["org"]),
            "a bad organization": self.token("ec", **less["org"], org="../acme"),
            "another key": self.token("ec", **good, key=ed25519.Ed25519PrivateKey.generate(), algorithm="EdDSA"),
            "another key of the same kind": self.token("ed", **good, key=ed25519.Ed25519PrivateKey.generate()),
            "unknown key id": self.token("ec", **good, kid="nobody"),
            "a critical extension": self.token("ec", **good, header={"crit": ["b64"], "b64": True}),
            "too long": self.token("ec", **good, more="x" * 9000),
            "an algorithm that is not allowed": self.token("rsa", **good, algorithm="RS512"),
            "the public key as a shared secret": self.confused("rsa", **good),
            "no signature": self.unsigned(**good),
            "no expiry": self.token("ec", **good, lifetime=None),
        }

    def _by_hand(self, header: dict[str, Any], claims: dict[str, Any], sign: Any) -> str:
        given = {"iss": self.url, "aud": "metaqore", "exp": int(time.time()) + 600, **claims}
        parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, given)]
        data = b".".join(parts)
        return (data + b"." + base64.urlsafe_b64encode(sign(data)).rstrip(b"=")).decode()

    def stop(self) -> None:
        """Answer nobody any more."""
        if self._running:
            self._running = False
            self._server.shutdown()
            self._server.server_close()


@contextlib.contextmanager
def issuing() -> Iterator[LocalIssuer]:
    """Run a provider inside the block."""
    made = LocalIssuer()
    try:
        yield made
    finally:
        made.stop()
