"""JWTs of another issuer: what a token says is believed only where it can be said in one way."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from metaqore.errors import SettingsError, Unauthenticated
from metaqore.security.foreign import ALGORITHMS, Issuer, verify
from metaqore.security.keys import PrincipalKind

ISSUER = Issuer(
    issuer="https://issuer.example", audience="metaqore", algorithms=("RS256", "ES256", "EdDSA"),
    organization_claim="org", kind_claim="kind",
)  # fmt: skip
PRIVATE: dict[str, tuple[Any, str]] = {
    "rsa": (rsa.generate_private_key(65537, 2048), "RS256"), "ec": (ec.generate_private_key(ec.SECP256R1()), "ES256"),
    "ed": (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
}  # fmt: skip
GOOD = {"iss": ISSUER.issuer, "aud": "metaqore", "sub": "ann", "org": "acme", "scope": "projects:read"}


class Published:
    """The keys of the issuer."""

    def __init__(self) -> None:
        self.keys: dict[str, jwt.PyJWK] = {}
        for kid, (private, algorithm) in PRIVATE.items():
            made = jwt.get_algorithm_by_name(algorithm).to_jwk(private.public_key(), as_dict=True)
            self.keys[kid] = jwt.PyJWK({**made, "kid": kid})

    def find(self, kid: str | None, key_type: str) -> jwt.PyJWK | None:
        """Return a key by its id."""
        found = self.keys.get(kid or "")
        return found if found is not None and found.key_type == key_type else None


KEYS = Published()


def part(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(claims: Any, by: str = "ed", **header: Any) -> str:
    """Return a token with a good signature over whatever it says."""
    private, algorithm = PRIVATE[by]
    told = {"alg": algorithm, "kid": by, **header}
    text = f"{part(told)}.{part(claims)}"
    return f"{text}.{part(jwt.get_algorithm_by_name(algorithm).sign(text.encode(), private))}"


def now() -> int:
    return int(time.time())


def claims(**more: Any) -> dict[str, Any]:
    return {"exp": now() + 600, **GOOD, **more}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in claims().items() if key != name}


@pytest.mark.parametrize("kid", PRIVATE)
def test_a_token_of_the_issuer_speaks_for_its_subject(kid: str) -> None:
    who = verify(signed(claims(aud=["else", "metaqore"], kind="service"), kid), ISSUER, KEYS).principal

    assert (who.organization, who.name, who.scopes) == ("acme", "oidc:ann", frozenset({"projects:read"}))
    assert who.kind is PrincipalKind.SERVICE


SAID: dict[str, Any] = {
    **{f"no {name}": without(name) for name in ("iss", "aud", "exp", "sub", "org")},
    **{f"{name} is {value!r}": claims(**{name: value}) for name, value in [
        ("iss", "https://issuer.example/"), ("iss", ["https://issuer.example"]), ("iss", ""), ("iss", None),
        ("aud", "metaqore2"), ("aud", []), ("aud", {"metaqore": 1}), ("aud", ""), ("aud", ["else"]), ("aud", None),
        ("exp", 0), ("exp", -1), ("exp", None), ("exp", "soon"), ("exp", []), ("exp", True), ("exp", float("inf")),
        ("exp", float("nan")), ("nbf", 2**40), ("nbf", "later"), ("nbf", float("inf")), ("iat", 2**40),
        ("iat", float("nan")), ("sub", ""), ("sub", 7), ("sub", None), ("sub", ["ann"]), ("sub", "a\nb"),
        ("sub", "a\x00"), ("sub", "\u202eann"), ("sub", "x" * 201), ("org", ""), ("org", "../acme"), ("org", "*"),
        ("org", "Acme"), ("org", "acme\n"), ("org", ["acme"]), ("org", None), ("org", 1),
    ]},
    "a list": [claims()], "a text": "x", "nothing": None, "deep": b"[" * 3000, "no JSON": b"{", "no text": b"\xff",
}  # fmt: skip


@pytest.mark.parametrize("what", SAID)
def test_a_well_signed_token_that_says_the_wrong_thing_is_refused(what: str) -> None:
    with pytest.raises(Unauthenticated):
        verify(signed(SAID[what]), ISSUER, KEYS)


@pytest.mark.parametrize("header", [
    {"kid": "nobody"}, {"kid": "rsa"}, {"kid": ["ed"]}, {"kid": 7}, {"kid": {}}, {"kid": "../ed"},
    {"kid": "' OR 1=1 --"},
    {"kid": "https://elsewhere.example/keys"}, {"kid": "/dev/null"}, {"kid": "\ud800"}, {"kid": ""}, {"alg": "none"},
    {"alg": "None"}, {"alg": "nOnE"}, {"alg": ""}, {"alg": None}, {"alg": ["EdDSA"]}, {"alg": {}}, {"alg": "HS256"},
    {"alg": "RS256"}, {"alg": "ES256"}, {"alg": "RS512"}, {"alg": "eddsa"}, {"alg": " EdDSA"}, {"crit": ["exp"]},
    {"crit": []}, {"crit": None}, {"b64": False}, {"b64": False, "crit": ["b64"]},
])  # fmt: skip
def test_a_header_chooses_neither_algorithm_nor_key(header: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        verify(signed(claims(), **header), ISSUER, KEYS)


@pytest.mark.parametrize("kid", PRIVATE)
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_public_key_is_no_shared_secret(kid: str, algorithm: str) -> None:
    public = PRIVATE[kid][0].public_key()
    secrets = [
        public.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
        for encoding in (serialization.Encoding.PEM, serialization.Encoding.DER)
    ]
    for secret in (*secrets, secrets[0].strip(), b"", b"secret"):
        text = f"{part({'alg': algorithm, 'kid': kid})}.{part(claims())}"
        digest = hmac.digest(secret, text.encode(), getattr(hashlib, "sha" + algorithm[2:]))
        with pytest.raises(Unauthenticated):
            verify(f"{text}.{part(digest)}", ISSUER, KEYS)


def test_a_key_in_the_token_itself_proves_nothing() -> None:
    own = ed25519.Ed25519PrivateKey.generate()
    shown = jwt.get_algorithm_by_name("EdDSA").to_jwk(own.public_key(), as_dict=True)
    for told in ({"jwk": shown}, {"jku": "https://elsewhere.example/keys"}, {"x5u": "https://elsewhere.example/"},
                 {"x5c": ["AA=="]}):  # fmt: skip
        text = f"{part({'alg': 'EdDSA', 'kid': 'ed', **told})}.{part(claims())}"
        with pytest.raises(Unauthenticated):
            verify(f"{text}.{part(own.sign(text.encode()))}", ISSUER, KEYS)


@pytest.mark.parametrize("change", [
    lambda head, body, name: f"{head}.{body}.", lambda head, body, name: f"{head}.{body}",
    lambda head, body, name: f"{head}.{part(claims(sub='eve'))}.{name}",
    lambda head, body, name: f"{head}.{body}.{name[:-4]}",
    lambda head, body, name: f"{part(b'[' * 3000)}.{body}.{name}", lambda head, body, name: f".{body}.{name}",
    lambda head, body, name: f"{part([])}.{body}.{name}", lambda head, body, name: f"{head}.{body}.{name}.{name}",
    lambda head, body, name: f"{head}.{body}.{name}" + "A" * 8200, lambda head, body, name: "..",
])  # fmt: skip
def test_a_token_that_was_changed_is_refused(change: Any) -> None:
    with pytest.raises(Unauthenticated):
        verify(change(*signed(claims()).split(".")), ISSUER, KEYS)


def test_scopes_are_known_words_and_never_everything() -> None:
    for given in ("*", ["*"], {"projects:read": 1}, 7, None, "nonsense", [["projects:read"]]):
        assert verify(signed(claims(scope=given)), ISSUER, KEYS).principal.scopes == frozenset()


@pytest.mark.parametrize(("sub", "name"), [
    ("ann/agent", "oidc:ann%2Fagent"), ("ann%2Fagent", "oidc:ann%252Fagent"), ("repo:o/r", "oidc:repo:o%2Fr"),
    ("ann|1", "oidc:ann|1"),
])  # fmt: skip
def test_nobody_is_called_as_what_somebody_else_has_delegated_to(sub: str, name: str) -> None:
    """Budgets, limits and stops of ``ann`` hold for ``ann/agent``: a provider's user must not have such a name."""
    assert verify(signed(claims(sub=sub)), ISSUER, KEYS).principal.name == name


def test_no_symmetric_algorithm_and_no_empty_audience_can_be_set() -> None:
    for algorithms in (("HS256",), ("none",), (), (*ALGORITHMS, "HS512"), ("rs256",)):
        with pytest.raises(SettingsError):
            Issuer(issuer="i", audience="a", algorithms=algorithms).check()
    with pytest.raises(SettingsError):
        Issuer(issuer="i", audience="", algorithms=("ES256",)).check()
