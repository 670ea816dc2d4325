from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from metaqore.clock import now_ms
from metaqore.delivery import signing
from metaqore.delivery.signing import BadSignature
from metaqore.errors import InvalidInput

IDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789_", min_size=1, max_size=40)
TIMES = st.integers(0, 4_000_000_000)
KEYS = st.binary(min_size=24, max_size=64)


def secret_of(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


def test_the_signature_of_the_published_example_is_reproduced() -> None:
    """The example that the reference libraries of Standard Webhooks carry in their tests."""
    made = signing.sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )

    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(KEYS, IDS, TIMES, st.text(st.characters(exclude_categories=["Cs"])))
def test_the_signature_equals_the_reference_library(key: bytes, message_id: str, stamp: int, body: str) -> None:
    theirs = Webhook(secret_of(key)).sign(message_id, datetime.fromtimestamp(stamp, UTC), body)

    assert signing.sign(secret_of(key), message_id, stamp, body.encode()) == theirs


@given(KEYS, KEYS, IDS, st.text(st.characters(exclude_categories=["Cs"])))
def test_the_reference_library_accepts_both_secrets_of_a_rotation(
    new: bytes, old: bytes, message_id: str, body: str
) -> None:
    secrets = [secret_of(new), secret_of(old)]
    made = signing.headers(secrets, message_id, now_ms() // 1000, body.encode())

    for secret in secrets:
        Webhook(secret).verify(body, made, json_parse=False)


@given(KEYS, KEYS, IDS)
def test_the_reference_library_refuses_another_secret(key: bytes, other: bytes, message_id: str) -> None:
    made = signing.headers([secret_of(key)], message_id, now_ms() // 1000, b"{}")

    if key != other:
        with pytest.raises(WebhookVerificationError):
            Webhook(secret_of(other)).verify("{}", made)


@given(KEYS, IDS, TIMES, st.binary(max_size=100))
def test_what_the_reference_library_signs_is_accepted(key: bytes, message_id: str, stamp: int, raw: bytes) -> None:
    body = raw.hex()
    made = {
        "webhook-id": message_id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": Webhook(secret_of(key)).sign(message_id, datetime.fromtimestamp(stamp, UTC), body),
    }

    signing.verify(secret_of(key), made, body.encode(), now_s=stamp)


SECRET = secret_of(b"k" * 32)
GOOD = signing.headers([SECRET], "evt_1", 1000, b"{}")
OTHER = secret_of(b"o" * 32)


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "evt_2"},
        {"webhook-id": ""},
        {"webhook-id": "evt.1"},
        {"webhook-timestamp": "1001"},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "-1000"},
        {"webhook-timestamp": "1e3"},
        {"webhook-timestamp": "1000.0"},
        {"webhook-timestamp": "９"},
        {"webhook-timestamp": "9" * 30},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": GOOD["webhook-signature"][:-1]},
        {"webhook-signature": GOOD["webhook-signature"].replace("v1,", "v1a,")},
        {"webhook-signature": GOOD["webhook-signature"].replace("v1,", "")},
        {"webhook-signature": "v1,né"},
        {"webhook-signature": signing.sign(OTHER, "evt_1", 1000, b"{}")},
    ],
    ids=str,
)
def test_a_changed_header_is_refused(changed: dict[str, str]) -> None:
    signing.verify(SECRET, GOOD, b"{}", now_s=1000)

    with pytest.raises(BadSignature):
        signing.verify(SECRET, {**GOOD, **changed}, b"{}", now_s=1000)


@pytest.mark.parametrize("name", list(GOOD))
def test_a_missing_header_is_refused(name: str) -> None:
    with pytest.raises(BadSignature):
        signing.verify(SECRET, {key: value for key, value in GOOD.items() if key != name}, b"{}", now_s=1000)


def test_a_changed_body_is_refused() -> None:
    with pytest.raises(BadSignature):
        signing.verify(SECRET, GOOD, b"{ }", now_s=1000)


@pytest.mark.parametrize(("now_s", "accepted"), [(700, True), (1300, True), (699, False), (1301, False)])
def test_a_message_is_accepted_within_five_minutes_of_its_timestamp(now_s: int, accepted: bool) -> None:
    if accepted:
        signing.verify(SECRET, GOOD, b"{}", now_s=now_s)
    else:
        with pytest.raises(BadSignature, match="clock"):
            signing.verify(SECRET, GOOD, b"{}", now_s=now_s)


def test_one_fitting_signature_among_others_is_enough() -> None:
    both = {**GOOD, "webhook-signature": "v1a,AAAA v2 " + GOOD["webhook-signature"]}

    signing.verify(SECRET, both, b"{}", now_s=1000)


def test_secrets_are_32_random_bytes_and_differ() -> None:
    made = {signing.mint_secret() for _ in range(100)}

    assert len(made) == 100
    assert {len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) for secret in made} == {32}


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!", "whsec_AAAA", "A" * 44, secret_of(b"x" * 65)])
def test_a_secret_of_another_form_is_refused(secret: str) -> None:
    with pytest.raises(InvalidInput, match="whsec_"):
        signing.sign(secret, "evt_1", 1000, b"{}")


def test_an_id_with_a_full_stop_is_not_signed() -> None:
    """``a.1`` at time 2 and ``a`` at time 1 would have the same signed content with bodies ``x`` and ``2.x``."""
    with pytest.raises(InvalidInput, match="webhook-id"):
        signing.sign(SECRET, "evt.1", 1000, b"{}")
