from __future__ import annotations

import base64
import copy
import json

import pytest

from metaqore.errors import InvalidInput
from metaqore.security import assess
from metaqore.security.model import Finding, Label
from metaqore.security.redact import Pseudonyms, pseudonymise, redact
from metaqore.security.repeated import squeezed

CARD, MAIL = "4111 1111 1111 1111", "maria.keller@posteo.net"
TEXT = f"Refund {MAIL} for card {CARD}, then write to {MAIL} again."
PAYLOAD = {
    "customer": {"mail": MAIL, "cards": [CARD, 4111111111111111], "note": f"pay with {CARD} please"},
    "token": "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "amount": 12,
}
PAYLOADS = [
    TEXT,
    PAYLOAD,
    json.dumps(PAYLOAD),
    [TEXT, {"x": TEXT}],
    f"ünïcödé \u200b… {MAIL} — {CARD}",
    "see " + base64.b64encode(f"the card is {CARD}, keep it".encode()).decode(),
    {MAIL: "a name that is a value", "b": 1},
    f"postgresql://app:kQ9vv2Lz81@db.acme.io/x and password: Zx81!kettle for {MAIL}",
]


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_nothing_sensitive_is_left_after_redaction(payload):
    assert assess(payload).label >= Label.SENSITIVE

    redacted = redact(payload, assess(payload).findings)

    assert assess(redacted).label < Label.SENSITIVE


def test_a_mark_says_the_kind_and_the_rest_stays():
    redacted = redact(TEXT, assess(TEXT).findings)

    assert redacted == "Refund [REDACTED EMAIL] for card [REDACTED PAYMENT CARD], then write to [REDACTED EMAIL] again."


def test_what_is_below_the_label_stays():
    redacted = redact(TEXT, assess(TEXT).findings, at_least=Label.CRITICAL)

    assert MAIL in redacted
    assert CARD not in redacted


@pytest.mark.parametrize("payload", [TEXT, PAYLOAD, [TEXT, {"x": TEXT}]], ids=["text", "object", "array"])
def test_pseudonyms_are_put_back_on_the_way_in(payload):
    before = copy.deepcopy(payload)

    named, pseudonyms = pseudonymise(payload, assess(payload).findings)

    assert payload == before
    assert MAIL not in json.dumps(named)
    restored = pseudonyms.restore(named)
    assert json.dumps(restored).replace('"4111111111111111"', "4111111111111111") == json.dumps(payload)


def test_the_same_value_has_the_same_name_and_another_value_another():
    text = f"{MAIL} wrote to jan.nowak@posteo.net, cc {MAIL}"

    named, _ = pseudonymise(text, assess(text).findings)

    assert named == "[EMAIL_1] wrote to [EMAIL_2], cc [EMAIL_1]"


def test_a_name_that_the_payload_already_has_is_not_given():
    text = f"[EMAIL_1] is not {MAIL}"

    named, pseudonyms = pseudonymise(text, assess(text).findings)

    assert named == "[EMAIL_1] is not [EMAIL_2]"
    assert pseudonyms.restore(named) == text


def test_an_answer_that_invents_a_name_keeps_it():
    assert Pseudonyms({"[EMAIL_1]": MAIL}).restore("to [EMAIL_1] and [EMAIL_9]") == f"to {MAIL} and [EMAIL_9]"


def test_overlapping_findings_are_cut_once():
    found = [Finding("a", "r", Label.CRITICAL, 1.0, None, 2, 6), Finding("b", "r", Label.SENSITIVE, 1.0, None, 4, 9)]

    assert redact("0123456789", found) == "01[REDACTED A][REDACTED B]9"


def test_more_findings_than_can_be_kept_are_refused():
    text = f"{MAIL} " * 600

    with pytest.raises(InvalidInput, match="too many"):
        redact(text, assess(text).findings)


KETTLE, LOGIN = "Zx81!kettle", "deploy:kQ9vv2Lz81xx"
ELSEWHERE = {
    "without words about it": (f"My password is {KETTLE}. Log in with {KETTLE} now.", KETTLE),
    "in another member": ({"password": KETTLE, "note": f"uses {KETTLE} as before"}, KETTLE),
    "in another case and spacing": (f"{MAIL} or MARIA.KELLER @ POSTEO.NET", MAIL),
    "as a number": ({"card": CARD, "again": 4111111111111111}, CARD),
    "a part of it": ("postgresql://app:kQ9vv2Lz81xx@db.acme.io/x then kQ9vv2Lz81xx again", "kQ9vv2Lz81xx"),
    "decoded": (f"Authorization: Basic {base64.b64encode(LOGIN.encode()).decode()} i.e. {LOGIN}", "kQ9vv2Lz81xx"),
    "encoded": (f"password: {KETTLE}, auth={base64.b64encode(KETTLE.encode()).decode()}",
                base64.b64encode(KETTLE.encode()).decode()),
    "in the name of an object": ({"users": {MAIL: {"role": "admin"}, "x": [1]}}, MAIL),
    "as a short word": ("the pin for my card is 4711, so type 4711", "4711"),
}  # fmt: skip


@pytest.mark.parametrize(("payload", "value"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_what_was_found_once_is_taken_out_wherever_it_stands(payload, value):
    for text in (payload, json.dumps(payload) if not isinstance(payload, str) else payload):
        findings = assess(text).findings
        named, pseudonyms = pseudonymise(text, findings)

        for cut in (named, redact(text, findings)):
            assert squeezed(value) not in squeezed(json.dumps(cut))
            assert assess(cut).content < Label.SENSITIVE
        back = pseudonyms.restore(named)
        assert back == text or json.loads(back) == payload


def test_a_diagnosis_that_was_taken_out_is_none():
    text = "Maria Keller was diagnosed with epilepsy. Her epilepsy is treated in the clinic."

    cut = redact(text, assess(text).findings)

    assert "epilepsy" not in cut
    assert assess(cut).content < Label.SENSITIVE


def test_only_a_mark_is_no_value():
    assert assess("password: [PASSWORD_1]").content < Label.SENSITIVE
    assert assess("[REDACTED PASSWORD HASH]:19700:0:99999:7:::").content < Label.SENSITIVE
    assert assess("the key is [REDACTED AKIAQ7RT5WX2LK9MPZ3D]").content is Label.CRITICAL


def test_a_value_with_line_breaks_is_put_back_into_an_answer_that_is_json():
    value = 'first "line"\nsecond'

    restored = Pseudonyms({"[PRIVATE_KEY_1]": value}, {"[PIN_1]": 4711}).restore(
        '{"key": "see [PRIVATE_KEY_1]", "pin": "[PIN_1]"}'
    )

    assert json.loads(restored) == {"key": f"see {value}", "pin": 4711}


def test_two_members_whose_names_are_taken_out_both_stay():
    payload = {MAIL: "a", "jan.nowak@posteo.net": "b"}

    assert sorted(redact(payload, assess(payload).findings).values()) == ["a", "b"]
