"""The checker must find what is broken, and nothing else."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.linearizability import BLOCKED, NEVER, Call, Register, after, linearizable


def declare(base: int, content: str, told: Any, began: float, ended: float) -> Call:
    return Call("declare", (base, content), told, began, ended)


def read(told: Register, began: float, ended: float) -> Call:
    return Call("read", None, told, began, ended)


SOUND = [
    declare(0, "a", 1, 0, 5), declare(0, "b", BLOCKED, 1, 9), read((1, "a"), 6, 7), declare(1, "c", 2, 6, 11),
    read((2, "c"), 8, 10),
]  # fmt: skip

BROKEN = {
    "two have the same version": [declare(0, "a", 1, 0, 5), declare(0, "b", 1, 1, 6)],
    "an update is lost": [declare(0, "a", 1, 0, 1), declare(1, "b", 2, 2, 3), declare(1, "c", 3, 4, 5)],
    "a read is older than what was answered": [declare(0, "a", 1, 0, 1), read((0, None), 2, 3)],
    "a read goes back": [
        declare(0, "a", 1, 0, 1), declare(1, "b", 2, 2, 9), read((2, "b"), 3, 4), read((1, "a"), 5, 6),
    ],
    "a read is from the future": [read((1, "a"), 0, 1), declare(0, "a", 1, 2, 3)],
    "a version is skipped": [declare(0, "a", 1, 0, 1), declare(1, "b", 3, 2, 3)],
    "it is blocked though nothing was in the way": [declare(0, "a", 1, 0, 1), declare(1, "b", BLOCKED, 2, 3)],
    "both of two who collide are blocked": [declare(0, "a", BLOCKED, 0, 5), declare(0, "b", BLOCKED, 1, 6)],
    "the content is another's": [declare(0, "a", 1, 0, 1), read((1, "b"), 2, 3)],
}  # fmt: skip


def test_a_sound_history_is_accepted() -> None:
    assert linearizable(SOUND)


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_history_is_refused(what: str) -> None:
    assert not linearizable(BROKEN[what])


def test_what_was_never_answered_may_have_happened_or_not() -> None:
    lost = declare(0, "a", None, 0, NEVER)
    assert linearizable([lost, read((0, None), 1, 2), read((1, "a"), 3, 4)])
    assert not linearizable([lost, read((1, "a"), 1, 2), read((0, None), 3, 4)])


def by_all_orders(history: list[Call]) -> bool:
    """The definition, tried out."""
    for order in permutations(history):
        if any(order[j].ended < order[i].began for i in range(len(order)) for j in range(i + 1, len(order))):
            continue
        state: Register | None = (0, None)
        for call in order:
            state = after(state, call) if state is not None else None
        if state is not None:
            return True
    return False


contents = st.sampled_from("ab")
tolds = st.tuples(st.integers(0, 2), contents).map(lambda t: t if t[0] else (0, None))
spans = st.tuples(st.integers(0, 9), st.integers(1, 6)).map(lambda t: (t[0], t[0] + t[1]))
calls = st.one_of(
    st.builds(lambda b, c, told, span: declare(b, c, told, *span), st.integers(0, 2), contents,
              st.sampled_from([1, 2, BLOCKED]), spans),
    st.builds(lambda told, span: read(told, *span), tolds, spans),
)  # fmt: skip


@settings(max_examples=200)
@given(st.lists(calls, max_size=5))
def test_it_agrees_with_the_definition(history: list[Call]) -> None:
    assert linearizable(history) == by_all_orders(history)
