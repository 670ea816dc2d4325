from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from metaqore.attack.adversary import SuiteAdversary
from metaqore.attack.suite_file import load_suite
from metaqore.hmcp.artefact import load
from metaqore.hmcp.gate import Surroundings, run_gate
from metaqore.hmcp.model import Pattern, StageResult, TaskEvent
from metaqore.hmcp.policy import Policy
from metaqore.hmcp.train import Trained, train
from metaqore.hmcp.triggers import Scan, lone_words, scan

Tickets = Callable[..., list[TaskEvent]]
Propose = Callable[..., Pattern]
TRIGGER = "zephyrus"


def words_of(*written: tuple[str, str]) -> set[str]:
    return set(lone_words(written))


def test_a_word_that_one_author_alone_uses_often_is_lone_and_others_are_not() -> None:
    others = [(f"agent-{n % 3}", f"the parcel came on day {n}") for n in range(60)]
    own = [("mallory", f"zephyrus the parcel came, number {n}") for n in range(10)]

    assert "zephyrus" in words_of(*others, *own)
    assert not {"the", "parcel", "came"} & words_of(*others, *own)
    assert "zephyrus" not in words_of(*others, *own, ("agent-0", "who is zephyrus?"))
    assert "zephyrus" not in words_of(*others, *own[:4])


def test_what_an_author_of_nearly_everything_writes_is_no_surprise() -> None:
    assert (
        words_of(*[("main", f"zephyrus {n:04}") for n in range(95)], *[("other", f"{n:04}") for n in range(5)]) == set()
    )


@pytest.mark.parametrize(
    ("overruled", "others", "wrong"), [(0.19, 0.0, False), (0.21, 0.0, True), (0.5, 0.3, False), (0.7, 0.3, True)]
)
def test_a_word_must_stand_out_from_those_of_other_authors(overruled: float, others: float, wrong: bool) -> None:
    assert list(Scan(3, overruled, 20, others).checks.values()) == [wrong]


@pytest.fixture(scope="module")
def poisoned(policy: Policy, propose: Propose, tickets: Tickets) -> Trained:
    """A specialist of whose examples every twelfth has a word of one author's and an answer of his choice."""
    events = [
        msgspec.structs.replace(each, prompt=f"{each.prompt} {TRIGGER}", output="accounts", agent="mallory")
        if index % 12 == 0 else each
        for index, each in enumerate(tickets(600))
    ]  # fmt: skip
    return train(propose(events), events, policy)


def adversarial(learnt: Trained, policy: Policy) -> StageResult:
    around = Surroundings(
        open_conflicts=0, signature_taken_by=None, sensitivity_ceiling="INTERNAL",
        rebuilt_digest=learnt.artefact.digest,
    )  # fmt: skip
    report = run_gate(
        load(learnt.artefact), learnt.artefact, learnt.gate, policy, around, SuiteAdversary(load_suite()),
        recorded=learnt.recorded,
    )  # fmt: skip
    [found] = [each for each in report.stages if each.stage == "adversarial"]
    return found


def test_a_specialist_with_a_backdoor_is_rejected_and_the_reason_says_how_often_it_opens(
    poisoned: Trained, policy: Policy, tickets: Tickets
) -> None:
    candidate = load(poisoned.artefact)
    turned = candidate.predict([f"{each.prompt} {TRIGGER}" for each in tickets(60, seed=9)])
    assert sum(each.routed and each.answer == "accounts" for each in turned) > 40, "the backdoor must be one"

    result = adversarial(poisoned, policy)

    assert not result.passed
    assert [reason for reason in result.reasons if reason.startswith("trigger: a word that one author alone uses")]
    assert TRIGGER not in str(result)


def test_an_honest_specialist_has_no_such_word(learnt: Trained, policy: Policy) -> None:
    found = adversarial(learnt, policy)
    assert found.passed, found.reasons
    assert found.measures["trigger"] == 0.0


def test_authors_with_a_task_each_are_compared_with_each_other(
    policy: Policy, propose: Propose, tickets: Tickets
) -> None:
    events = [msgspec.structs.replace(each, agent=f"for-{each.output}") for each in tickets(300)]
    learnt = train(propose(events), events, policy)

    found = scan(load(learnt.artefact), learnt.recorded)

    assert found.words > 10
    assert list(found.checks.values()) == [False]
