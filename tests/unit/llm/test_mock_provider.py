from __future__ import annotations

from pathlib import Path

import pytest

from metaqore.adapters.mock_provider import MockProvider
from metaqore.llm.config import Classifier, Fault, ProviderSpec, Rule, Scenario, load
from metaqore.llm.model import Completion, GenerateCommand, Message, ProviderError, Template
from metaqore.llm.rules import estimate_tokens

SHIPPED = Path(__file__).parents[3] / "config" / "providers.yaml"


def provider(*scenarios: Scenario) -> MockProvider:
    return MockProvider("mock", ProviderSpec("mock", "local", "local", ("m",), scenarios=scenarios))


def answer(mock: MockProvider, prompt: str, **more: object) -> Completion:
    got = mock.complete([GenerateCommand(prompt=prompt, **more)])[0]  # type: ignore[arg-type]
    assert isinstance(got, Completion)
    return got


def test_the_same_prompt_gets_the_same_answer_and_another_prompt_another() -> None:
    one, two = provider(), provider()
    assert answer(one, "hello there") == answer(two, "hello there")
    assert answer(one, "hello there").text != answer(one, "hello where").text
    assert answer(one, "hello there").text != answer(one, "hello there", seed=2).text


def test_usage_is_the_stated_estimate_and_says_so() -> None:
    got = answer(provider(), "hello there")
    assert got.usage.prompt_tokens == estimate_tokens("hello there") + 4
    assert got.usage.completion_tokens == estimate_tokens(got.text)
    assert got.usage.estimated


def test_the_first_scenario_that_fits_answers() -> None:
    mock = provider(
        Scenario("a", regex=r"weather in (?P<city>\w+)", reply="{{city}}: sunny, {{unknown}}"),
        Scenario("b", keyword="WEATHER", reply="which city?"),
    )
    assert answer(mock, "the weather in Oslo?").text == "Oslo: sunny, {{unknown}}"
    assert answer(mock, "the weather?").text == "which city?"


def test_a_keyword_is_text_and_not_a_pattern() -> None:
    mock = provider(Scenario("a", keyword="1+1", reply="2"))
    assert answer(mock, "what is 1+1").text == "2"
    assert answer(mock, "what is 11").text != "2"


def test_a_fault_fails_the_named_use_and_only_that_one() -> None:
    mock = provider(Scenario("a", keyword="x", reply="fine", fault=Fault(2, "rate_limited", 1.5)))
    got = mock.complete([GenerateCommand(prompt="x")] * 3)
    assert [isinstance(each, ProviderError) for each in got] == [False, True, False]
    failure = got[1]
    assert isinstance(failure, ProviderError)
    assert (failure.retryable, failure.retry_after_s, failure.reason) == (True, 1.5, "rate_limited")


def test_a_refusal_is_final() -> None:
    got = provider(Scenario("a", keyword="x", reply="r", fault=Fault(1, "refused"))).complete(
        [GenerateCommand(prompt="x")]
    )[0]
    assert isinstance(got, ProviderError)
    assert not got.retryable


@pytest.mark.parametrize("edge", ["long", "empty", "malformed_json", "unicode"])
def test_edge_cases_are_answers_like_any_other(edge: str) -> None:
    mock = provider(Scenario("a", keyword="x", edge=edge))  # type: ignore[arg-type]
    got = answer(mock, "x", max_tokens=100_000)
    assert Completion.from_json(got.to_json()) == got
    assert (got.text == "") == (edge == "empty")
    assert (len(got.text) > 10_000) == (edge == "long")


def test_an_answer_ends_at_max_tokens_and_at_a_stop_sequence() -> None:
    mock = provider(Scenario("a", keyword="x", reply="one two three four five"))
    cut = answer(mock, "x", max_tokens=2)
    assert (cut.text, cut.finish_reason, cut.usage.completion_tokens) == ("one two ", "length", 2)
    assert answer(mock, "x", stop=("three", "two")).text == "one "


RULES = Classifier((Rule("fix", ("fix", "bug")), Rule("feature", ("add",))), default="other")


@pytest.mark.parametrize(
    ("subject", "label"),
    [("Fix the bug", "fix"), ("add a thing", "feature"), ("fixture", "other"), ("add fix", "fix")],
)
def test_the_classifier_counts_whole_words_of_the_input_and_not_of_the_instruction(subject: str, label: str) -> None:
    mock = provider(Scenario("a", keyword="label", classifier=RULES))
    template = Template("t", "Label this (fix, bug, fix or feature): {{subject}}")
    got = mock.complete([GenerateCommand(template=template, variables={"subject": subject})])[0]
    assert isinstance(got, Completion)
    assert got.text == label


def test_the_classifier_takes_its_input_from_the_configured_group() -> None:
    rules = Classifier(RULES.labels, "other", input=r"Subject: (.*)")
    mock = provider(Scenario("a", keyword="label", classifier=rules))
    assert answer(mock, "label as fix or add\nSubject: add it").text == "feature"
    assert answer(mock, "label as fix").text == "other"


def test_an_unknown_model_and_a_broken_template_are_errors_in_their_place() -> None:
    got = provider().complete(
        [
            GenerateCommand(prompt="x", model="other"),
            GenerateCommand(template=Template("t", "{{a}}")),
            GenerateCommand(messages=(Message("user", "fine"),)),
        ]
    )
    assert [isinstance(each, ProviderError) for each in got] == [True, True, False]


def test_the_shipped_scenario_labels_changes() -> None:
    mock = MockProvider("mock", load(SHIPPED).providers["mock"])
    template = Template("maintenance-type", "Name the maintenance type of this change.\nChange: {{subject}}")
    subjects = ["Fix crash on start", "Add a new flag", "README: clarify the install steps", "Quux"]
    got = mock.complete([GenerateCommand(template=template, variables={"subject": s}) for s in subjects])
    texts = [each.text for each in got if isinstance(each, Completion)]
    assert texts == ["corrective", "additive", "perfective", "other"]


def test_the_shipped_question_about_corrective_maintenance_is_answered_yes_or_no() -> None:
    mock = MockProvider("mock", load(SHIPPED).providers["mock"])
    head = "Is this change corrective maintenance? Answer yes or no.\nChange: "
    assert [answer(mock, head + s, model="mock-1").text for s in ("Fix a crash", "Add a flag")] == ["yes", "no"]
