"""A finding points at its value and at nothing else, whatever stands before it."""

from __future__ import annotations

import json

import pytest

from metaqore.security import assess
from metaqore.security.model import Label
from metaqore.security.redact import redact

PASSWORD, KEY = "Zx81!kettle", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6"
TOLD = (
    ("password: {}", PASSWORD), ("pw is {}, ok", PASSWORD), ("mdp: {}", PASSWORD), ("token={}", KEY),
    ("Bearer {}", "abcDEF123456ghiJKL789_x"), ("mail {} now", "maria.keller@posteo.net"), ("wachtwoord: {}", PASSWORD),
    ("card {} please", "4539 1488 0343 6467"), ("call me on {}", "+49 170 4422110"), ("пароль: {}", PASSWORD),
    ("IBAN {} is mine", "DE89 3704 0044 0532 0130 00"), ("DNI {} de Ana Diaz", "12345678Z"),
    ("PESEL {}", "70052294575"), ("CPF {}", "529.982.247-25"),
    ("user Ana Diaz logged in from {}", "84.12.33.7"), ("Maria Keller lives at {}.", "48 Elm Grove, Reading RG2 7DJ"),
    ("{}", "AKIAQ7RT5WX2LK9MPZ3D"), ("x {} y", "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"),
    ("curl -u deploy:{} https://x.dev", "kQ9vv2Lz81xx"), ("Maria Keller has {}", "epilepsy"), ("SSN {}", "536-90-4399"),
    ("passport number {}", "C03219874"), ("my card pin is {}", "4711"), ("\nservice,password\nwiki,{}\n", PASSWORD),
    ("- name: DB_PASSWORD\n  value: {}\n", PASSWORD), ("define('DB_PASSWORD', '{}');", PASSWORD),
    ("docker login -u a -p {} r.io", PASSWORD), ("codice fiscale {}", "RSSMRA85T10A562S"),
    ("Ana Diaz, geb. {}", "03.11.1979"), ("lösenord {}", PASSWORD), ("şifre: {}", PASSWORD),
)  # fmt: skip
BEFORE = {
    "nothing": "", "umlauts": "äöü ", "ligatures and emoji": "😀😀 ﬁ ½ … ",
    "dropped at the beginning": "\u200b\u200bзд\u0301 ",
    "full width": "ＡＢ\n\n漢字 ", "combining": "e\u0301\u0301 ŉ ﷺ ",
}  # fmt: skip


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
def test_a_finding_points_at_its_value(before: str) -> None:
    for told, value in TOLD:
        text = before + told.format(value)
        inside = {"ключ": [{"b/~ü": text}]}
        for payload in (text, inside, json.dumps(inside), json.dumps(inside, ensure_ascii=False, indent=2)):
            pointer = None if payload is text else "/ключ/0/b~1~0ü"
            found = [f for f in assess(payload).findings if f.pointer == pointer and f.label >= Label.SENSITIVE]

            assert value in {text[f.start : f.end] for f in found}, payload


def test_nothing_of_a_value_is_left_where_dropped_characters_stand_before_it() -> None:
    text = "\u200b" * 12 + f"password: {PASSWORD}"

    assert redact(text, assess(text).findings) == "\u200b" * 12 + "password: [REDACTED PASSWORD]"
