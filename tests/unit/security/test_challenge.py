"""A part of the challenge (tests/challenge): made-up payloads of many kinds, none from the labelled data.

The whole is measured by ``python -m tests.challenge.measure`` and ``make bench`` (``security_challenge_*``).
"""

from __future__ import annotations

import json

import pytest

from metaqore.security import assess
from metaqore.security.look import suspects
from metaqore.security.model import Label
from metaqore.security.redact import pseudonymise
from tests.challenge import installed, measure, people, prose, secrets_told, situations, threats


def test_secrets_of_every_issuer_are_critical() -> None:
    missed = [case for case in secrets_told.secrets("b", 3, each=1) if assess(case.text).label is not Label.CRITICAL]

    assert missed == []


def test_what_stands_in_place_of_a_secret_is_none() -> None:
    raised = [case for case in secrets_told.no_secrets("b", 3, each=1) if assess(case.text).label > Label.INTERNAL]

    assert raised == []


def test_personal_data_is_told_from_what_looks_like_it() -> None:
    cases = [*people.people("b", 3, each=1), *people.nearly("b", 3, each=1), *prose.prose("b", 3, each=1)]

    assert measure.labels_of(cases).accuracy() >= 0.96


def test_files_letters_tables_and_chats_are_read_as_what_they_are() -> None:
    told = measure.labels_of(situations.drawn(5, each=1))
    recall, precision, f1 = told.label_scores()

    assert (recall >= 0.97, precision >= 0.97, f1 >= 0.95) == (True, True, True)


def test_what_is_found_anywhere_can_be_taken_out_and_put_back() -> None:
    for case in situations.drawn(6, each=1):
        found = assess(case.text)
        if found.content < Label.SENSITIVE:
            continue
        named, names = pseudonymise(case.text, found.findings)
        back = names.restore(named)

        assert assess(named).content < Label.SENSITIVE, case.text
        assert back == case.text or json.loads(back) == json.loads(case.text)
        assert suspects(case.text)


@pytest.mark.parametrize("chosen", ["a", "b"])
def test_a_cheap_look_suspects_what_the_rules_find(chosen: str) -> None:
    cases = [*secrets_told.secrets(chosen, 4, each=1), *people.people(chosen, 4, each=1)]
    held = [case.text for case in cases if assess(case.text).label >= Label.SENSITIVE]

    assert [text for text in held if not suspects(text)] == []


@pytest.mark.parametrize(("chosen", "recall"), [("a", 0.88), ("b", 0.70), ("e", 0.40)])
def test_attacks_in_other_words_are_found(chosen: str, recall: float) -> None:
    asked = measure.threats_of(threats.attacks(chosen, 3, planted=1, disguised=1))

    assert asked.share(truth="attack") >= recall


def test_look_alikes_and_what_tools_return_are_left_alone() -> None:
    asked = measure.threats_of(threats.innocent("b", 3, hosts_of_each=10))

    assert asked.share(truth="innocent") >= 0.93
    assert all(asked.share(family=f"{name} of tools") == 1 for name in ("prose", "log", "code", "rows"))


def test_what_people_and_documents_say_with_the_words_of_attacks_is_left_alone() -> None:
    alone = [case for case in threats.innocent("e", 3, hosts_of_each=0) if case.family == "look-alike"]

    assert len(alone) > 300
    assert measure.threats_of(alone).share(truth="innocent") >= 0.95


def test_software_is_neither_an_attack_nor_a_secret() -> None:
    read = installed.measured(3, of_a_package=2, step=3)

    assert read.pieces > 50
    assert read.flagged <= 0.05
    assert read.critical <= 0.02
