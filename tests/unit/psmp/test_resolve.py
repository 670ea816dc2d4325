"""Merging contents while the write lock is held: only what is sure to be quick."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from metaqore.psmp.resolve import MAX_LINES, merge_contents


def test_disjoint_edits_of_a_text_are_merged() -> None:
    merged = merge_contents("a\nb\nc\nd\n", "A\nb\nc\nd\n", "a\nb\nc\nD\n")

    assert (merged.clean, merged.content) == (True, "A\nb\nc\nD\n")


def test_files_are_merged_one_by_one() -> None:
    base = {"files": {"x": "1\n", "y": "1\n"}}

    merged = merge_contents(base, {"files": {"x": "2\n", "y": "1\n"}}, {"files": {"x": "1\n", "y": "2\n"}})

    assert (merged.clean, merged.content) == (True, {"files": {"x": "2\n", "y": "2\n"}})


def test_what_collides_says_where() -> None:
    merged = merge_contents({"a": 1}, {"a": 2}, {"a": 3})

    assert not merged.clean
    assert merged.hunks[0]["pointer"] == "/a"


def test_a_text_too_long_to_merge_under_the_write_lock_is_left_to_a_person() -> None:
    long = "x\n" * (MAX_LINES + 1)

    for content in (long, {"files": {"f": long}}, [1] * (MAX_LINES + 1)):
        merged = merge_contents(content, content, "other")
        assert (merged.clean, merged.hunks[0]["type"]) == (False, "too_large")


def test_texts_that_differ_everywhere_are_left_to_a_person_instead_of_holding_up_everybody() -> None:
    lines = [f"{number} {'x' * 60}\n" for number in range(3900)]
    left, right = (random.Random(seed).sample(lines, len(lines)) for seed in (1, 2))
    shapes: list[Callable[[list[str]], Any]] = ["".join, lambda text: {"files": {"f": "".join(text)}},
                                                 lambda text: [line.strip() for line in text]]  # fmt: skip
    few, other = ([f"changed {at}\n" if n == at else line for n, line in enumerate(lines)] for at in (5, 3000))

    def seconds(of: Callable[[list[str]], Any], ours: list[str], theirs: list[str], clean: bool) -> float:
        best = float("inf")
        for _ in range(2):
            began = time.process_time()
            merged = merge_contents(of(lines), of(ours), of(theirs))
            best = min(best, time.process_time() - began)
            assert merged.clean is clean
            assert clean or merged.hunks[0]["type"] == "too_different"
        return best

    for shape in shapes:
        # Without a bound it is thousands of times as long as for two small edits.
        assert seconds(shape, left, right, False) < 100 * seconds(shape, few, other, True)
