from __future__ import annotations

import pytest

from metaqore.hmcp.outputs import canonical_answer, output_type
from metaqore.hmcp.policy import Policy


@pytest.mark.parametrize(
    ("output", "canonical"),
    [
        (" fix \n", "fix"),
        ('"fix".', "fix"),
        ("'fix.'", "fix"),
        ("`fix`", "fix"),
        ("fix.", "fix"),
        ("Fix", "Fix"),
        ('{"b": 1, "a": [1.0]}', '{"a":[1],"b":1}'),
        ('{"b": ', '{"b":'),
        ("[1]", "[1]"),
        ("", ""),
    ],
)
def test_answers_are_compared_without_their_wrapping(output: str, canonical: str) -> None:
    assert canonical_answer(output) == canonical


def test_few_recurring_answers_are_a_closed_set_most_frequent_first(policy: Policy) -> None:
    found = output_type(["no"] * 30 + ["yes"] * 70, policy.output)
    assert (found.kind, found.labels, found.mass) == ("closed_label_set", ("yes", "no"), 1.0)


def test_a_few_strays_are_allowed_and_more_are_not(policy: Policy) -> None:
    strays = [f"stray {n}" for n in range(3)]
    assert output_type(["yes"] * 99 + ["no"] * 98 + strays[:2], policy.output).labels == ("yes", "no")
    assert output_type(["yes"] * 50 + ["no"] * 47 + strays, policy.output).kind == "free_text"


def test_answers_that_never_recur_are_free_text(policy: Policy) -> None:
    assert output_type([f"answer {n}" for n in range(200)], policy.output).kind == "free_text"


def test_one_answer_only_is_a_constant(policy: Policy) -> None:
    assert output_type(["ok"] * 100, policy.output).kind == "constant"


def test_too_many_or_too_long_labels_are_free_text(policy: Policy) -> None:
    many = [f"label {n % 51}" for n in range(510)]
    assert output_type(many, policy.output).kind == "free_text"
    assert output_type([f"label {n % 50}" for n in range(500)], policy.output).kind == "closed_label_set"
    assert output_type(["x" * 201, "y"] * 50, policy.output).kind == "free_text"


def test_objects_whose_fields_take_few_values_are_labels_as_a_whole(policy: Policy) -> None:
    outputs = [f'{{"urgent": {str(n % 2 == 0).lower()}, "team": "t{n % 3}"}}' for n in range(120)]
    found = output_type(outputs, policy.output)
    assert (found.kind, len(found.labels), found.fields) == ("json_fields", 6, {"urgent": 2, "team": 3})


def test_objects_with_a_free_field_are_no_closed_set(policy: Policy) -> None:
    found = output_type([f'{{"kind": "a", "why": "because {n}"}}' for n in range(100)], policy.output)
    assert (found.kind, found.labels, found.fields) == ("json_fields", (), {"kind": 1, "why": 100})


def test_hostile_json_is_text(policy: Policy) -> None:
    deep = '{"a":' * 100_000
    assert output_type([deep] * 40, policy.output).kind == "free_text"
    assert output_type(['{"a": NaN}', '{"a": 1e999}', '{"a": 1'] * 40, policy.output).kind == "closed_label_set"
