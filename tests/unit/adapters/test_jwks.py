from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import urllib3
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import get_default_algorithms

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


@pytest.mark.parametrize("url", ["http://issuer.example", "ftp://issuer.example", "issuer.example", ""])
def test_keys_come_over_https_or_from_this_machine(url: str) -> None:
    with pytest.raises(SettingsError):
        Jwks(url)
    Jwks("http://127.0.0.1:1/")
