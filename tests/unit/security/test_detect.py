from __future__ import annotations

import base64
import json
import random
import string

import pytest

from metaqore.security import assess
from metaqore.security.model import Label

LETTERS = string.ascii_letters + string.digits


def minted(length: int, alphabet: str = LETTERS) -> str:
    """A random value that no one issued."""
    return "".join(random.Random(length).choices(alphabet, k=length))


def types(payload: object) -> set[str]:
    return {finding.type for finding in assess(payload).findings}


SECRETS = [
    ("aws_access_key", "AKIA" + minted(16, string.ascii_uppercase + string.digits)),
    ("github_token", "ghp_" + minted(36)),
    ("gitlab_token", "glpat-" + minted(20)),
    ("slack_token", "xoxb-" + minted(24)),
    ("stripe_key", "sk_live_" + minted(24)),
    ("google_api_key", "AIza" + minted(35)),
    ("openai_key", "sk-proj-" + minted(48)),
    ("huggingface_token", "hf_" + minted(34)),
    ("npm_token", "npm_" + minted(36)),
    ("metaqore_key", "mq_live_" + minted(12) + "_" + minted(64, string.hexdigits.lower())),
    ("connection_string", "postgresql://app:" + minted(16) + "@db.acme.io/orders"),
    ("bearer_token", "Authorization: Bearer " + minted(40)),
    ("basic_auth", "Authorization: Basic " + base64.b64encode(b"deploy:Tr0ub4dor&3").decode()),
    ("password", "password: " + minted(12) + "!7"),
    ("password", "DB_PASSWORD=" + "kQ9#vv2Lz!"),
    ("password", "The password for the router is Zx81!kettle"),
    ("password", "mysql -u root --password=9vHq!2zLmn"),
    ("api_key", "api_key = '" + minted(40, "0123456789abcdef") + "'"),
    ("api_key", "X-API-Key: " + minted(32, "0123456789abcdef")),
    ("pin", "Her card's PIN is 4821"),
    (
        "private_key",
        "-----BEGIN RSA PRIVATE KEY-----\n" + minted(64) + "\n" + minted(64) + "\n-----END RSA PRIVATE KEY-----",
    ),
]


@pytest.mark.parametrize(("kind", "text"), SECRETS, ids=[kind for kind, _ in SECRETS])
def test_a_credential_makes_a_text_critical(kind, text):
    assessment = assess(f"Please use this one for now: {text}")

    assert assessment.label is Label.CRITICAL
    assert kind in {finding.type for finding in assessment.findings}


@pytest.mark.parametrize(
    "text",
    [
        "password: ${DB_PASSWORD}",
        "Set API_KEY=<your-key> and restart.",
        "token = os.environ['TOKEN']",
        "api_key: xxxxxxxxxxxxxxxxxxxx",
        "password = 'changeme'",
        "client = Client(password=getpass())",
        "password: ${Prod_Pass_2}",
        "api_key=YOUR-KEY-0123456789ab",
        "password: {{vault.Db7!}}",
        "secret: %(PROD_SECRET_9)s",
        "Never share your password, token or private key with anyone.",
        "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
        "redis://user:password@localhost:6379/0",
        "postgres://user:secret@example.com/db",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "-----BEGIN PUBLIC KEY-----\n" + minted(64) + "\n" + minted(64) + "\n-----END PUBLIC KEY-----",
        "The commit 0e3925dbf5afa812596c2f8441de1c419d0d5505 fixed the token parser.",
        "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "Requests carry an id such as 9efbef2d-e975-4b79-913e-6a376a0ef081.",
        "The token endpoint returns a bearer token that expires after an hour.",
        "def tokenize(text, token=None): return token",
        "from ghp_import import ghp_import",
    ],
)
def test_what_only_talks_about_secrets_is_none(text):
    assert assess(text).label < Label.SENSITIVE


PERSONAL = [
    ("email", "Write to maria.keller@posteo.example-mail.de when it is done."),
    ("phone", "Call me on +44 20 7946 0018 after five."),
    ("phone", "They do not answer at 22 475 77 65."),
    ("phone", "You can reach Jan at (0909) 879 0577."),
    ("phone", "My number is 616-595-6631 ext 12."),
    ("iban", "Please pay to DE89 3704 0044 0532 0130 00 by Friday."),
    ("us_ssn", "His social security number is 536-22-8145."),
    ("uk_nhs", "NHS number 943 476 5919 belongs to Ruth Baker."),
    ("uk_nino", "Her NI number is AB 12 34 56 C."),
    ("pl_pesel", "PESEL 44051401359 of the tenant"),
    ("fr_nir", "Identity check done for 255081416802538."),
    ("de_tax_id", "Steuer-ID 86095742719, Herr Vogel"),
    ("address", "Ship it to 4934 Anderson Isle Suite 008, Smithhaven, LA 85272."),
    ("address", "She lives in Flat 9, Stewart Gardens, Lake Lynnport, SK1V 5JW"),
    ("address", "Meine neue Adresse: Lindenstraße 12a, 04109 Leipzig"),
    ("address", "envoyez-le au 39, boulevard Voltaire, 75011 Paris"),
    ("address", "aleja Niepodległości 33/28, 18-595 Koszalin"),
    ("address", "PSC 4321, Box 99, APO AE 09012"),
    ("ip_address", "login of Petra Gotthard from 140.83.147.232 at noon"),
    ("date_of_birth", "Patient record: Peter Vogel, born 1979-11-05"),
    ("identity_document", "Passport number: X12345678"),
]


@pytest.mark.parametrize(("kind", "text"), PERSONAL, ids=[f"{kind}-{i}" for i, (kind, _) in enumerate(PERSONAL)])
def test_personal_data_makes_a_text_sensitive(kind, text):
    assessment = assess(text)

    assert assessment.label is Label.SENSITIVE
    assert kind in {finding.type for finding in assessment.findings}


@pytest.mark.parametrize(
    "text",
    [
        "In the tutorial the user writes to alice@example.com.",
        "Examples use 203.0.113.205 and 192.0.2.1, port 4865.",
        "The resolver at 8.8.8.8 answers in ten milliseconds.",
        "The user alice signed in from 203.0.113.9 in the example.",
        "An IBAN like DE89370400440532013001 is rejected.",
        "The manual shows 4111 1111 1111 1112 as a wrong number.",
        "Version 3.12.3 was released on 2024-01-31 at 12:45:10.",
        "RFC 9110 and issue 1234567 explain it.",
        "git clone git@github.com:acme/tool.git",
        "Write to info@acme.io for a quote.",
        "Between 1914-1918 and 1939-1945 it was closed.",
        "The answer is 3.14159265 or 2147483647.",
    ],
)
def test_reserved_examples_and_wrong_numbers_are_nobodys_data(text):
    assert assess(text).label is Label.PUBLIC


@pytest.mark.parametrize("content", ["The invoice number is 20261122.", {"number": 1000939}, {"build number": 1000939}])
def test_a_number_that_is_called_a_number_is_no_telephone(content):
    assert assess(content).label < Label.SENSITIVE


HEALTH = [
    "Susan Hill told HR about the epilepsy and asked for shorter shifts.",
    "Lab result for Mathew Krol: positive for chlamydia.",
    "I was diagnosed with Crohn's disease last year and take mesalazine.",
    "My son has asthma, can he join the swimming course?",
    "Mr Ferreira is on sick leave after his heart attack.",
    "Prescribed atorvastatin 20 mg to Marta Nowak, follow-up in six weeks.",
    "Frau Weber ist schwanger und fällt ab Mai aus.",
]


@pytest.mark.parametrize("text", HEALTH)
def test_a_diagnosis_of_somebody_is_critical(text):
    assert assess(text).label is Label.CRITICAL
    assert "health" in types(text)


@pytest.mark.parametrize(
    "text",
    [
        "Patients with asthma are often given budesonide, says the leaflet.",
        "Diabetes is a disease that affects millions of people.",
        "The vaccine protects against measles and mumps.",
        "The World Health Organization published a report on malaria.",
        "Ibuprofen is a medicine against pain.",
    ],
)
def test_medical_knowledge_without_a_person_is_public(text):
    assert assess(text).label is Label.PUBLIC


def test_a_card_number_is_critical_wherever_it_stands():
    assert "payment_card" in types("pan=4111 1111 1111 1111 amount=12")
    assert "payment_card" in types({"order": {"cc": 4111111111111111}})
    assert "payment_card" in types(["x", ["4111-1111-1111-1111"]])
    assert "payment_card" in types("４１１１ １１１１ １１１１ １１１１")
    assert "payment_card" in types("41\u200b11 1111 1111 1111")


def test_a_finding_inside_json_has_its_pointer_and_place():
    payload = {"a/b": [{"note": "Call +44 20 7946 0018 now"}], "z": "nothing"}

    (finding,) = [f for f in assess(payload).findings if f.type == "phone"]

    assert finding.pointer == "/a~1b/0/note"
    assert "Call +44 20 7946 0018 now"[finding.start : finding.end] == "+44 20 7946 0018"


def test_a_text_that_is_json_is_read_as_json():
    finding = assess(json.dumps({"patient": {"name": "Anna Kowalska", "diagnosis": "asthma"}})).findings[0]

    assert (finding.type, finding.pointer) == ("health", "/patient/diagnosis")


def test_the_hidden_twin_of_a_repeated_name_is_read_too():
    assert assess('{"a": "card 4111 1111 1111 1111", "a": "nothing to see"}').label is Label.CRITICAL


def test_the_name_of_a_field_is_the_context_of_its_value():
    assert assess({"user": "kim", "password": "sunshine"}).label is Label.CRITICAL
    assert assess({"user": "kim", "password": "<redacted>"}).label is Label.INTERNAL


def test_offsets_are_those_of_the_text_as_it_came():
    text = "Ünïcödé \u200b…: mail to maria.keller@posteo.net, please"

    (finding,) = assess(text).findings

    assert text[finding.start : finding.end] == "maria.keller@posteo.net"


def test_no_finding_holds_the_value_that_it_found():
    for _, text in SECRETS:
        stored = json.dumps(assess(text).to_dict())
        value = text.split()[-1].strip("'\"")[-12:]
        assert value not in stored


def test_an_encoded_secret_is_found_in_its_view():
    hidden = base64.b64encode(b"the password is Zx81!kettle, keep it").decode()

    (finding,) = [f for f in assess(f"see {hidden} for access").findings if f.type == "password"]

    assert finding.view == "base64"


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "   ",
        None,
        [],
        {},
        42,
        True,
        "??",
        "x",
        object(),
        "秘密の計画について話しましょう",
        "Это совершенно секретный план",
    ],
)
def test_what_cannot_be_judged_is_never_public(payload):
    assert assess(payload).label is Label.INTERNAL
