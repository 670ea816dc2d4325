"""Conflicts that were planted are found, each class of them, and look-alikes are not taken for any."""

from __future__ import annotations

import pytest

from metaqore.psmp.catalogue import RULES
from tests.psmp_corpus import corpus, score, table
from tests.psmp_mutants import MUTANTS


def test_every_planted_conflict_is_found_and_nothing_else() -> None:
    scores, mistakes = score(corpus(seed=3, rounds=2), seed=3)

    assert not mistakes, "\n".join([table(scores), *mistakes[:20]])
    assert all(each.right >= 2 for each in scores.values()), table(scores)
    assert scores.keys() == RULES.keys()


@pytest.mark.parametrize(
    ("fault", "conflict_class"),
    [
        ("the base version is not compared", "version_mismatch"),
        ("a stale read set is accepted", "read_set_changed"),
        ("overlapping claims are ignored", "claim_collision"),
        ("copies are not found", "duplicate_work"),
        ("labels of inputs are not joined", "label_lowered"),
    ],
)
def test_a_check_that_is_left_out_costs_recall_of_its_class(fault: str, conflict_class: str) -> None:
    mutant = next(each for each in MUTANTS if each.name == fault)
    with mutant.fault():
        scores, _ = score(corpus(seed=3, rounds=1), seed=3)

    assert scores[conflict_class].recall < 1, table(scores)
