from __future__ import annotations

import random
import unicodedata

import pytest

from metaqore.hmcp.classifier import plain
from metaqore.hmcp.perturb import (
    _INSTRUCTIONS,
    _LOOKALIKES,
    _REHEARSED,
    KEEPS_RIGHT,
    KEEPS_SAME,
    homoglyph,
    injection,
    zero_width,
)

TEXT = "please reset the password of my account before monday"


@pytest.mark.parametrize("name", [*KEEPS_RIGHT, *KEEPS_SAME])
def test_an_attack_changes_the_text_and_is_the_same_for_the_same_seed(name: str) -> None:
    attack = {**KEEPS_RIGHT, **KEEPS_SAME}[name]
    once, again = (attack(TEXT, random.Random(1), ["network"]) for _ in range(2))
    assert once == again != TEXT


def test_lookalikes_are_other_letters_than_the_one_they_stand_for() -> None:
    for letter, others in _LOOKALIKES.items():
        assert all(other != letter and not other.isascii() for other in others)


def test_invisible_characters_are_all_that_is_added() -> None:
    attacked = zero_width(TEXT, random.Random(1), [])
    assert "".join(c for c in attacked if unicodedata.category(c) != "Cf") == TEXT


def test_the_attack_knows_letters_that_the_classifier_does_not_fold_back() -> None:
    """Otherwise the stage would measure nothing but its own table."""
    attacked = homoglyph(TEXT * 20, random.Random(1), [])
    assert not plain(attacked).isascii()


def test_an_injection_names_a_label_in_words_that_training_has_not_rehearsed() -> None:
    assert "network" in injection(TEXT, random.Random(1), ["network"])
    assert not set(_INSTRUCTIONS) & set(_REHEARSED)
