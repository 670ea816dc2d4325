from __future__ import annotations

import pytest

from metaqore.errors import InvalidInput
from metaqore.llm.model import GenerateCommand, Message
from metaqore.llm.rules import Offer, Route, estimate_messages, estimate_tokens, route, routed

OFFERS = [Offer("cloud", ("big", "small")), Offer("local", ("small",))]
BOTH = {"cloud", "local"}


def refused(command: GenerateCommand, allowed: set[str]) -> str:
    with pytest.raises(InvalidInput) as caught:
        route(command, OFFERS, allowed)
    return str(caught.value.details["errors"][0]["pointer"])


def test_the_first_allowed_provider_takes_a_call_that_names_none() -> None:
    assert route(GenerateCommand(prompt="x"), OFFERS, BOTH) == Route("cloud", "big")
    assert route(GenerateCommand(prompt="x"), OFFERS, {"local"}) == Route("local", "small")


def test_the_first_allowed_provider_with_the_model_is_chosen() -> None:
    assert route(GenerateCommand(prompt="x", model="small"), OFFERS, BOTH) == Route("cloud", "small")
    assert route(GenerateCommand(prompt="x", model="small"), OFFERS, {"local"}) == Route("local", "small")


def test_a_provider_that_is_not_allowed_is_refused_and_never_replaced() -> None:
    assert refused(GenerateCommand(prompt="x", provider="cloud"), {"local"}) == "/provider"


def test_nothing_allowed_means_nothing_is_called() -> None:
    assert refused(GenerateCommand(prompt="x"), set()) == "/provider"


def test_an_unknown_provider_or_model_is_refused() -> None:
    assert refused(GenerateCommand(prompt="x", provider="nobody"), BOTH) == "/provider"
    assert refused(GenerateCommand(prompt="x", model="huge"), BOTH) == "/model"
    assert refused(GenerateCommand(prompt="x", provider="local", model="big"), BOTH) == "/model"


def test_the_route_is_written_into_the_command() -> None:
    command = routed(GenerateCommand(prompt="x"), Route("local", "small"))
    assert (command.provider, command.model, command.prompt) == ("local", "small", "x")


def test_tokens_are_a_quarter_of_the_bytes_rounded_up_and_four_for_each_message() -> None:
    assert [estimate_tokens(text) for text in ("", "a", "abcd", "abcde", "é" * 4)] == [0, 1, 1, 2, 2]
    assert estimate_messages([Message("user", "abcd"), Message("user", "")]) == 9
