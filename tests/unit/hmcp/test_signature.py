from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from metaqore.hmcp.model import Signature, TaskEvent
from metaqore.hmcp.signature import head_tokens, matches


@pytest.mark.parametrize(
    ("prompt", "head"),
    [
        ("Classify ticket 4711 now", "Classify ticket <num> now"),
        ('Is "any old text" spam?', "Is <str> spam ?"),
        ("Fetch https://a.b/c?d=1 now", "Fetch <url> now"),
        ("Mail to jo.doe@mail.example today", "Mail to <email> today"),
        ("Open /usr/share/doc/x please", "Open <path> please"),
        ("Look at 3f2504e0-4f89-41d3-9a0c-0305e82c3301 here", "Look at <uuid> here"),
        ("Commit 1b00618e is bad", "Commit <hex> is bad"),
        ("I don't know", "I don't know"),
        ("decade facade", "decade facade"),
        ("", ""),
    ],
)
def test_what_varies_is_masked_and_what_is_fixed_stays(prompt: str, head: str) -> None:
    assert " ".join(head_tokens(prompt, 32)) == head


def test_a_head_has_at_most_the_tokens_asked_for() -> None:
    assert head_tokens("a b c d", 3) == ("a", "b", "c")


def test_a_template_matches_by_its_key_alone(event: Callable[..., TaskEvent]) -> None:
    signature = Signature("template", "t@1")
    assert matches(signature, event("whatever", "x", template="t@1"))
    assert not matches(signature, event("whatever", "x", template="t@2"))
    assert not matches(signature, event("whatever", "x"))


def test_a_head_matches_prompts_that_no_template_made_and_no_longer_head_claims(
    event: Callable[..., TaskEvent],
) -> None:
    signature = Signature("head", "You are a helper", without=("You are a helper Translate",))
    assert matches(signature, event("You are a helper. Sum up", "x")) is matches(
        Signature("head", "You are a helper"), event("You are a helper. Sum up", "x")
    )
    assert matches(signature, event("You are a helper Sum up", "x"))
    assert not matches(signature, event("You are a helper Translate it", "x"))
    assert not matches(signature, event("You are a helper Sum up", "x", template="t"))
    assert not matches(signature, event("You are", "x"))


@pytest.mark.parametrize("hostile", ["a" * 2_000_000, "/a" * 500_000, "a." * 500_000, '"' * 500_000, "a@" * 500_000])
def test_a_hostile_prompt_costs_no_more_than_a_few_times_an_ordinary_one(hostile: str) -> None:
    def cost(prompt: str) -> float:
        took = []
        for _ in range(5):
            began = time.process_time()
            head_tokens(prompt, 8)
            took.append(time.process_time() - began)
        return min(took)

    assert cost(hostile) < 200 * cost("Classify the following text, please. " * 60)
