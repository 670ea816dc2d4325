from __future__ import annotations

import contextlib
import gzip
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import urllib3
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import get_default_algorithms

from metaqore.adapters import jwks
from metaqore.adapters.jwks import Jwks
from metaqore.errors import SettingsError, Unavailable

ISSUER = "https://issuer.example"


def published(kid: str, key: Any, algorithm: str, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = get_default_algorithms()[algorithm].to_jwk(key.public_key(), as_dict=True)
    return {**made, "kid": kid, **more}


def elliptic(kid: str, **more: Any) -> dict[str, Any]:
    return published(kid, ec.generate_private_key(ec.SECP256R1()), "ES256", **more)


class Site:
    """What the provider publishes, a clock, and how often it was asked."""

    def __init__(self, *keys: Mapping[str, Any]) -> None:
        self.keys = list(keys)
        self.is_up = True
        self.asked = 0
        self.now = 1000.0
        self.jwks = Jwks(ISSUER, "https://issuer.example/keys", fetch=self._fetch, clock=lambda: self.now)

    def _fetch(self, url: str) -> Mapping[str, Any]:
        self.asked += 1
        if not self.is_up:
            raise urllib3.exceptions.HTTPError("down")
        return {"keys": self.keys}

    def knows(self, kid: str | None, key_type: str = "EC") -> bool:
        return self.jwks.find(kid, key_type) is not None


def test_keys_are_fetched_once_and_asked_for_again_after_a_while() -> None:
    site = Site(elliptic("a"))
    assert site.knows("a") and site.knows("a")
    assert site.asked == 1

    site.now += 301

    assert site.knows("a")
    assert site.asked == 2


def test_a_new_key_is_found_and_made_up_ids_do_not_make_us_ask_often() -> None:
    site = Site(elliptic("a"))
    assert site.knows("a")
    site.keys = [elliptic("b")]
    for n in range(50):
        assert not site.knows(f"made-up-{n}")
    assert site.asked == 1

    site.now += 10

    assert site.knows("b")
    assert not site.knows("a"), "what is no longer published is no longer trusted"
    assert site.asked == 2


def test_keys_outlive_a_silent_issuer_for_an_hour() -> None:
    site = Site(elliptic("a"))
    assert site.knows("a")
    site.is_up = False

    site.now += 3500
    assert site.knows("a")

    site.now += 200
    with pytest.raises(Unavailable):
        site.knows("a")


def test_without_an_id_the_only_key_of_a_type_is_taken_and_never_one_of_several() -> None:
    assert Site(elliptic("a")).knows(None)
    assert not Site(elliptic("a"), elliptic("b")).knows(None)
    assert not Site(elliptic("a")).knows(None, "RSA")


def test_only_public_signing_keys_of_a_safe_size_count() -> None:
    weak = published("weak", rsa.generate_private_key(65537, 1024), "RS256")
    shared = {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"}
    site = Site(weak, shared, elliptic("enc", use="enc"), {"kty": "EC", "kid": "broken"}, "nonsense", elliptic("good"))  # type: ignore[arg-type]

    assert [kid for kid in ("weak", "shared", "enc", "broken", "good") if site.knows(kid)] == ["good"]


def test_two_keys_of_one_id_and_type_are_none_and_of_two_types_are_two() -> None:
    twice = elliptic("same")
    other = published("both", rsa.generate_private_key(65537, 2048), "RS256")
    site = Site(elliptic("a"), elliptic("a"), twice, twice, elliptic("both"), other)

    assert [kid for kid in ("a", "same", "both") if site.knows(kid)] == ["same", "both"]
    assert site.knows("both", "RSA")


@pytest.mark.parametrize(
    "named", ["http://127.0.0.1:6379/", "http://localhost/", "http://elsewhere.example/", "file:///x"]
)
def test_an_issuer_elsewhere_does_not_send_us_to_this_machine(named: str) -> None:
    asked = []

    def fetch(url: str) -> Mapping[str, Any]:
        asked.append(url)
        return {"issuer": ISSUER, "jwks_uri": named}

    with pytest.raises(Unavailable):
        Jwks(ISSUER, fetch=fetch).find("a", "EC")
    assert asked == [f"{ISSUER}/.well-known/openid-configuration"]


class Answers(BaseHTTPRequestHandler):
    """A provider that means harm, one way for each path."""

    def do_GET(self) -> None:
        redirect = self.path == "/redirect"
        self.send_response(302 if redirect else 200)
        if redirect:
            self.send_header("Location", "/keys")
        if self.path == "/compressed":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        body = {"/huge": b'{"keys":"' + b"x" * 300_000, "/deep": b'{"keys":' + b"[" * 100_000, "/list": b"[]"}
        packed = gzip.compress(b'{"keys": []}')
        with contextlib.suppress(OSError):
            if self.path == "/drip":
                # One byte at a time, and never the end: each read is quick enough.
                while True:
                    self.wfile.write(b" ")
                    self.wfile.flush()
            self.wfile.write(packed if self.path == "/compressed" else body.get(self.path, b'{"keys": []}'))

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.mark.parametrize("path", ["/redirect", "/huge", "/deep", "/list", "/compressed", "/drip"])
def test_a_harmful_answer_is_no_key_set(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "_DEADLINE_S", 0.05)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        here = f"http://127.0.0.1:{server.server_port}"
        try:
            with pytest.raises(Unavailable):
                Jwks(here, here + path).find("a", "EC")
            if path != "/drip":
                assert Jwks(here, here + "/keys").find("a", "EC") is None, "the server itself is sound"
        finally:
            server.shutdown()


@pytest.mark.parametrize("url", ["http://issuer.example", "ftp://issuer.example", "issuer.example", ""])
def test_keys_come_over_https_or_from_this_machine(url: str) -> None:
    with pytest.raises(SettingsError):
        Jwks(url)
    Jwks("http://127.0.0.1:1/")
