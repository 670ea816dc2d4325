"""Values that only the name over or beside them makes secret or personal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metaqore.security import assess
from metaqore.security.detect_records import kind_of
from metaqore.security.look import suspects
from metaqore.security.model import Label

CARD, PASSWORD = "4539148803436467", "Orchid1633!"
HELD: tuple[tuple[str, Any], ...] = (
    ("password", f"service,login,password,url\ngrafana,admin,{PASSWORD},https://grafana.acme.io\n"),
    ("password", f"name;username;kennwort\nRouter;admin;{PASSWORD}"),
    ("password", f"| system | password |\n|---|---|\n| VPN | {PASSWORD} |"),
    ("password", f"INSERT INTO users (id, login, password) VALUES (1, 'a', 'x'), (2, 'kim', '{PASSWORD}');"),
    ("password", f"COPY users (id, login, password) FROM stdin;\n7\tkim\t{PASSWORD}\n\\."),
    ("password", {"columns": ["service", "password"], "rows": [["wiki", PASSWORD]]}),
    ("password", [["system", "password"], ["wiki", PASSWORD]]),
    ("password", {"content": f"service,password\nwiki,{PASSWORD}\n"}),
    ("payment_card", f"order_id,card_number,amount\n838,{CARD},12.90"),
    ("payment_card", {"rows": [["pan", "amount"], [CARD, 3]]}),
    ("pin", {"cardNumber": int(CARD), "cvv": "319"}),
    ("health", {"patient": {"name": "Femke Bakker"}, "diagnosis": "epileptic fits"}),
    ("health", {"patientName": "Femke Bakker", "icd10": "F32.1"}),
    ("us_ssn", {"columns": ["name", "ssn"], "rows": [["Ana Diaz", "536904399"]]}),
    ("pl_pesel", "employee_no,pesel\n430,70052294575"),
    ("phone", {"customer": {"lastName": "Petrova", "phoneNumber": "447911787621"}}),
    ("address", {"kunde": {"vorname": "Emre", "strasse": "Lindenweg 17", "plz": "50667", "ort": "Köln"}}),
    ("date_of_birth", {"dateOfBirth": "1984-06-17", "fullName": "Harriet Blackwood"}),
    ("identity_document", {"passportNumber": "C0321987K", "holder": "Beatriz Carvalho"}),
    ("salary", {"employee": "Ana Diaz", "salary": 54000}),
    ("ip_address", {"userName": "kim", "lastName": "Diaz", "clientIp": "84.12.33.7"}),
)


@pytest.mark.parametrize(("kind", "payload"), HELD, ids=range(len(HELD)))
def test_a_value_is_what_its_name_says(kind: str, payload: Any) -> None:
    found = assess(payload)

    assert kind in {finding.type for finding in found.findings}
    assert found.content >= Label.SENSITIVE
    assert suspects(payload if isinstance(payload, str) else json.dumps(payload, separators=(",", ":")))


NOT_HELD: tuple[Any, ...] = (
    "mum|mom|dad|doctor|gp|diagnosis|name|blood\nscan|test|x|y|patient|birthday|a|b",
    "feature,password,token\nlogin form,required,optional\n",
    {"columns": ["name", "type"], "rows": [["password", "text"], ["ssn", "varchar(11)"]]},
    {"service": "checkout", "diagnosis": "connection pool exhausted"},
    {"name": "web-1", "ip": "84.12.33.7"},
    {"title": "Employee phone list", "phone": "+1-555-0100"},
    {"card": "0000 0000 0000 0000", "pan": "20250101000000"},
    {"order": {"number": "536904399", "status": "open"}},
)


@pytest.mark.parametrize("payload", NOT_HELD, ids=range(len(NOT_HELD)))
def test_a_name_without_such_a_value_says_nothing(payload: Any) -> None:
    assert assess(payload).content < Label.SENSITIVE


def test_every_row_of_a_table_is_read_and_each_finding_points_at_its_cell() -> None:
    text = "Zugänge\nservice,password\n" + "".join(f"s{n},Orchid{1000 + n}!\n" for n in range(30))

    found = [finding for finding in assess(text).findings if finding.rule == "record.password"]

    assert sorted(text[f.start : f.end] for f in found) == [f"Orchid{1000 + n}!" for n in range(30)]


def test_a_cell_of_an_array_has_its_pointer() -> None:
    found = assess({"columns": ["user", "password"], "rows": [["a", "changeme"], ["b", PASSWORD]]}).findings

    assert [(f.pointer, f.start, f.end) for f in found if f.type == "password"] == [("/rows/1/1", 0, len(PASSWORD))]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("cardNumber", "card"), ("db_password", "password"), ("motDePasse", "password"), ("taxId", "number"),
        ("nextPageToken", None), ("geburtsdatum", "birth"), ("passwordPolicy", None), ("x" * 80, None), ("", None),
    ],
)  # fmt: skip
def test_a_name_says_what_it_holds_in_any_spelling(name: str, kind: str | None) -> None:
    assert kind_of(name) == kind
