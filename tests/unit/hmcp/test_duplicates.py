from __future__ import annotations

import random
from collections.abc import Callable

from metaqore.hmcp.duplicates import without_near_duplicates


def test_copies_with_other_case_blanks_or_numbers_go() -> None:
    texts = ["Fix the parser in version 12", "fix  the parser in version 7 ", "Another thing entirely"]
    assert without_near_duplicates(texts, 0.85, 1) == [0, 2]


def test_the_first_of_a_family_stays(words: Callable[[random.Random, int], str]) -> None:
    rng = random.Random(1)
    originals = [words(rng, 30) for _ in range(100)]
    copies = [text + " and" for text in originals]
    assert without_near_duplicates(originals + copies, 0.85, 1) == list(range(100))


def test_different_texts_stay(words: Callable[[random.Random, int], str]) -> None:
    rng = random.Random(2)
    texts = [words(rng, 8) for _ in range(300)]
    assert without_near_duplicates(texts, 0.85, 1) == list(range(300))


def test_similar_texts_stay_until_they_are_similar_enough() -> None:
    texts = ["the quick brown fox jumps over the lazy dog", "the quick brown fox jumps over the lazy cat"]
    assert without_near_duplicates(texts, 0.95, 1) == [0, 1]
    assert without_near_duplicates(texts, 0.75, 1) == [0]


def test_empty_and_odd_texts_are_texts() -> None:
    assert without_near_duplicates([], 0.85, 1) == []
    assert without_near_duplicates(["", "", "\ud800", "a"], 0.85, 1) == [0, 2, 3]
