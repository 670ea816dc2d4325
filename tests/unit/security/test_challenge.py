"""A part of the challenge (tests/challenge): made-up payloads of many kinds, none from the labelled data.

The whole is measured by ``python -m tests.challenge.measure`` and ``make bench`` (``security_challenge_*``).
"""

from __future__ import annotations

import pytest

from metaqore.security import assess
from metaqore.security.look import suspects
from metaqore.security.model import Label
from tests.challenge import measure, people, prose, secrets_told


def test_secrets_of_every_issuer_are_critical() -> None:
    missed = [case for case in secrets_told.secrets("b", 3, each=1) if assess(case.text).label is not Label.CRITICAL]

    assert missed == []


def test_what_stands_in_place_of_a_secret_is_none() -> None:
    raised = [case for case in secrets_told.no_secrets("b", 3, each=1) if assess(case.text).label > Label.INTERNAL]

    assert raised == []


def test_personal_data_is_told_from_what_looks_like_it() -> None:
    cases = [*people.people("b", 3, each=1), *people.nearly("b", 3, each=1), *prose.prose("b", 3, each=1)]

    assert measure.labels_of(cases).accuracy() >= 0.96


@pytest.mark.parametrize("chosen", ["a", "b"])
def test_a_cheap_look_suspects_what_the_rules_find(chosen: str) -> None:
    cases = [*secrets_told.secrets(chosen, 4, each=1), *people.people(chosen, 4, each=1)]
    held = [case.text for case in cases if assess(case.text).label >= Label.SENSITIVE]

    assert [text for text in held if not suspects(text)] == []
