from __future__ import annotations

import json
import subprocess
import sys

import pytest

from metaqore.errors import InvalidInput
from metaqore.security import assess
from metaqore.security.assessment import declared_label, engine, words_of
from metaqore.security.model import Context, Label

PUBLIC_TEXT = "Paris is the capital of France and lies on the Seine."


def label(text: object = PUBLIC_TEXT, **declared: object) -> Label:
    return assess(text, Context(**declared)).label  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({}, Label.PUBLIC),
        ({"is_security_task": True}, Label.SENSITIVE),
        ({"is_security_task": True, "has_sensitive_data": True}, Label.CRITICAL),
        ({"is_security_task": True, "has_private_data": True}, Label.SENSITIVE),
        ({"has_sensitive_data": True}, Label.SENSITIVE),
        ({"has_private_data": True}, Label.SENSITIVE),
        ({"task_type": "governance plan"}, Label.INTERNAL),
        ({"task_type": "plan_creation"}, Label.INTERNAL),
        ({"task_type": "workflow-state"}, Label.INTERNAL),
        ({"task_type": "implement feature"}, Label.PUBLIC),
        ({"agent_name": "CodeValidator"}, Label.INTERNAL),
        ({"agent_name": "validator-2"}, Label.INTERNAL),
        ({"agent_name": "coder"}, Label.PUBLIC),
        ({"task_type": "pii_export"}, Label.SENSITIVE),
        ({"task_type": "password_dump"}, Label.SENSITIVE),
        ({"task_type": "medical_record"}, Label.SENSITIVE),
        ({"declared_label": Label.CRITICAL}, Label.CRITICAL),
        ({"inherited": (Label.PUBLIC, Label.SENSITIVE)}, Label.SENSITIVE),
    ],
)
def test_a_declaration_raises_the_label(declared, expected):
    assert label(**declared) is expected


@pytest.mark.parametrize("task_type", ["explanation", "statement_review", "estate", "planet_survey", "interstate"])
def test_a_word_inside_a_word_raises_nothing(task_type):
    assert label(task_type=task_type) is Label.PUBLIC


def test_no_declaration_lowers_what_the_content_is():
    text = "card 4111 1111 1111 1111"

    assert (
        label(text, declared_label=Label.PUBLIC, inherited=(Label.PUBLIC,), task_type="implement feature")
        is Label.CRITICAL
    )


def test_the_label_is_the_join_of_its_three_sources():
    context = Context(task_type="plan", inherited=(Label.SENSITIVE,))
    assessment = assess("card 4111 1111 1111 1111", context)

    assert (assessment.declared, assessment.inherited, assessment.content) == (
        Label.INTERNAL,
        Label.SENSITIVE,
        Label.CRITICAL,
    )
    assert assessment.label is Label.join(assessment.declared, assessment.inherited, assessment.content)


def test_every_raise_has_a_reason():
    assessment = assess("mail maria.keller@posteo.net", Context(task_type="plan", inherited=(Label.INTERNAL,)))

    text = " ".join(assessment.reasons)
    assert "email" in text
    assert '"plan"' in text
    assert "inherited" in text


def test_an_assessment_is_plain_json():
    stored = json.loads(json.dumps(assess({"a": ["mail maria.keller@posteo.net"]}).to_dict()))

    assert stored["label"] == "SENSITIVE"
    assert stored["findings"][0]["pointer"] == "/a/0"
    assert stored["engine"] == engine()


@pytest.mark.parametrize(
    "text",
    [
        "Roadmap for the autumn: search first, mobile slips to spring, do not tell customers.",
        "Post-mortem of Tuesday: db-3.prod.lan ran out of disk and orders stood still for an hour.",
        "The vendor wants 12 % more, our limit is 8 %, finance decides on Friday.",
        "Minutes of the architecture board: the monolith stays, billing moves out.",
        "Ticket OPS-118: rotate the certificates of the staging cluster before the audit.",
        {"plan": {"summary": "Split the ledger service, backfill on staging, cut over on Sunday night."}},
    ],
)
def test_the_business_of_an_organization_is_internal(text):
    assert label(text) is Label.INTERNAL


@pytest.mark.parametrize(
    "text",
    [
        PUBLIC_TEXT,
        "Install the package with pip and import it in your script.",
        "Press release: the company opens a second store in Ghent.",
        "The function returns a sorted list of names.",
        "What are your opening hours on Sunday?",
    ],
)
def test_public_knowledge_is_public(text):
    assert label(text) is Label.PUBLIC


def test_one_internal_paragraph_makes_a_long_public_document_internal():
    manual = "Call the function with a path and it returns a list of names. See the tutorial for more examples. " * 20
    internal = "Post-mortem: mq-2.prod.lan was down for an hour, the billing team misses its target for Q3 2027. "

    assert label(manual) is Label.PUBLIC
    assert label(manual + internal + manual) is Label.INTERNAL


def test_words_of_a_name_are_told_apart():
    assert words_of("CodeValidator") == ["code", "validator"]
    assert words_of("release_plan-2 HTTPState") == ["release", "plan", "2", "http", "state"]


def test_reasons_of_declarations_come_strongest_first():
    _, reasons = declared_label(Context(task_type="plan", is_security_task=True))

    assert reasons[0].startswith("SENSITIVE")


def test_a_label_is_read_by_its_name_and_an_unknown_one_refused():
    assert Label.parse(" internal ") is Label.INTERNAL
    with pytest.raises(InvalidInput, match=r"'secret'.*PUBLIC, INTERNAL, SENSITIVE, CRITICAL"):
        Label.parse("secret")


def test_the_engine_needs_neither_numpy_nor_scikit_learn():
    program = "import sys; from metaqore.security import assess; assess('hello there, world'); " \
        "print([m for m in ('numpy', 'sklearn', 'scipy') if m in sys.modules])"  # fmt: skip

    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize("answer", ["corrective", "preventive", "Adaptive.", "a feature", "Harbour dues"])
def test_a_word_or_two_do_not_say_whose_business_they_are(answer: str) -> None:
    assert label(answer) == Label.PUBLIC


def test_a_short_sentence_about_an_organization_is_its_own() -> None:
    assert label("Roadmap: we drop the Lisbon office in March.") == Label.INTERNAL
