from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec
import pytest

from metaqore.hmcp.artefact import Artefact, pack
from metaqore.hmcp.model import TaskEvent
from metaqore.hmcp.policy import Policy
from metaqore.hmcp.routing import Mode, Router, Sight, answerable, drawn
from metaqore.hmcp.train import Trained
from metaqore.llm.ports import Question

Tickets = Callable[..., list[TaskEvent]]
NOW = 1_700_000_000_000


class Shelf:
    """Specialists in memory; counts what is loaded."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = list(rows)
        self.artefacts: dict[str, Artefact] = {}
        self.loaded: list[str] = []

    def on_duty(self, organizations: Collection[str]) -> Sequence[dict[str, Any]]:
        return [row for row in self.rows if row["organization"] in organizations]

    def artefact(self, specialist: str) -> Artefact | None:
        self.loaded.append(specialist)
        return self.artefacts.get(specialist)


def row(artefact: Artefact, **more: Any) -> dict[str, Any]:
    fields = {"id": "spec_1", "organization": "acme", "pattern": "pat_1", "version": 1, "state": "active",
              "digest": artefact.digest, "created_at": NOW, "seen": 0}  # fmt: skip
    return {**fields, **more}


def shelf(learnt: Trained, **more: Any) -> Shelf:
    made = Shelf(row(learnt.artefact, **more))
    made.artefacts["spec_1"] = learnt.artefact
    return made


def router(shelf: Shelf, policy: Policy, mode: Mode = "on", now: int = NOW) -> Router:
    return Router(shelf, policy, mode, lambda: now)


def asked(event: TaskEvent, nth: int = 0, **more: Any) -> Question:
    fields = {"request_id": f"req_{nth}", "organization": "acme", "project": None, "template": None,
              "prompt": event.prompt}  # fmt: skip
    return Question(**{**fields, **more})


@pytest.fixture(scope="module")
def questions() -> Sequence[Question]:
    from tests.unit.hmcp.conftest import make_tickets

    return [asked(event, nth) for nth, event in enumerate(make_tickets(60, seed=9))]


def sights(found: Sequence[Sequence[Sight]]) -> list[Sight]:
    return [sight for own in found for sight in own]


def test_a_specialist_is_asked_about_calls_of_its_task_all_at_once(
    learnt: Trained, policy: Policy, questions: Sequence[Question]
) -> None:
    found = router(shelf(learnt), policy).look(questions)

    said = sights(found)
    assert len(said) == len(questions)
    assert sum(sight.routed for sight in said) > 0.8 * len(questions)
    assert all(sight.confidence >= sight.certificate.threshold for sight in said if sight.routed)
    assert {sight.serves for sight in said} == {True}


@pytest.mark.parametrize(
    "more",
    [
        {"organization": "other"},
        {"project": "prj_of_which_nothing_was_learnt"},
        {"template": "greet@0011223344556677"},
        {"prompt": "Write a poem about this ticket.\nTicket: an invoice"},
    ],
    ids=["organization", "project", "template", "prompt"],
)
def test_no_specialist_is_asked_about_a_call_that_is_none_of_its_business(
    more: dict[str, Any], learnt: Trained, policy: Policy, questions: Sequence[Question]
) -> None:
    foreign = [msgspec.structs.replace(question, **more) for question in questions]

    assert sights(router(shelf(learnt), policy).look(foreign)) == []


def test_a_foreign_payload_in_the_right_frame_is_left_to_the_teacher(
    learnt: Trained, policy: Policy, questions: Sequence[Question], head: str
) -> None:
    prompts = [head + text for text in ("Кто здесь? " * 5, "x" * 100_000, "0xdeadbeef " * 9, "")]
    foreign = [msgspec.structs.replace(questions[0], prompt=prompt) for prompt in prompts]

    assert not any(sight.routed for sight in sights(router(shelf(learnt), policy).look(foreign)))


def test_who_is_proposed_never_answers_and_who_is_only_compared_neither(
    learnt: Trained, policy: Policy, questions: Sequence[Question]
) -> None:
    proposed = router(shelf(learnt, state="proposed"), policy).look(questions)
    shadow = router(shelf(learnt), policy, "shadow").look(questions)

    assert not any(sight.serves for sight in sights(proposed) + sights(shadow))
    assert len(sights(proposed)) == len(sights(shadow)) == len(questions)


def test_switched_off_nobody_is_even_looked_for(learnt: Trained, policy: Policy, questions: Sequence[Question]) -> None:
    there = shelf(learnt)

    assert sights(router(there, policy, "off").look(questions)) == []
    assert there.loaded == []


def test_a_specialist_is_loaded_once_and_again_only_when_it_is_another(
    learnt: Trained, policy: Policy, questions: Sequence[Question]
) -> None:
    there = shelf(learnt)
    asking = router(there, policy)
    for _ in range(3):
        asking.look(questions[:2])
    assert there.loaded == ["spec_1"]

    changed = msgspec.structs.replace(learnt.specialist, seed=learnt.specialist.seed + 1)
    newer = pack(changed, learnt.artefact.weights)
    there.rows = [row(newer, id="spec_2", version=2)]
    there.artefacts = {"spec_2": newer}

    assert {sight.version for sight in sights(asking.look(questions[:2]))} == {2}
    assert there.loaded == ["spec_1", "spec_2"]


def test_a_retired_specialist_is_asked_no_more_and_leaves_the_memory(
    learnt: Trained, policy: Policy, questions: Sequence[Question]
) -> None:
    there = shelf(learnt)
    asking = router(there, policy)
    asking.look(questions[:1])
    there.rows = []

    assert sights(asking.look(questions[:1])) == []
    assert not asking._loaded


@pytest.mark.parametrize("broken", ["weights", "manifest", "gone"])
def test_a_specialist_that_is_not_what_was_stored_is_not_asked(
    broken: str, learnt: Trained, policy: Policy, questions: Sequence[Question]
) -> None:
    there = shelf(learnt)
    manifest, weights = learnt.artefact.manifest, learnt.artefact.weights
    if broken == "gone":
        there.artefacts.clear()
    elif broken == "weights":
        there.artefacts["spec_1"] = Artefact(manifest, weights[:-1] + bytes([weights[-1] ^ 1]))
    else:
        there.artefacts["spec_1"] = Artefact(manifest.replace(b'"format":1', b'"format": 1'), weights)

    assert sights(router(there, policy).look(questions[:3])) == []


def test_a_specialist_that_is_too_old_or_promised_too_little_is_not_asked(
    learnt: Trained, policy: Policy, with_alpha: Callable[[float], Policy], questions: Sequence[Question]
) -> None:
    old = policy.route.ttl_days * 86_400_000 + 1

    assert sights(router(shelf(learnt), policy, now=NOW + old).look(questions[:3])) == []
    assert sights(router(shelf(learnt), with_alpha(0.01)).look(questions[:3])) == []
    assert sights(router(shelf(learnt, digest=None), policy).look(questions[:3])) == []


def test_the_sample_is_drawn_by_the_request_alone_and_has_its_share() -> None:
    ids = [f"req_{nth}" for nth in range(20_000)]

    share = sum(drawn(request, 0.1) for request in ids) / len(ids)

    assert 0.09 < share < 0.11
    assert [drawn(request, 0.1) for request in ids] == [drawn(request, 0.1) for request in ids]
    assert not any(drawn(request, 0.0) for request in ids) and all(drawn(request, 1.0) for request in ids)


def test_a_specialist_answers_no_call_above_what_specialists_may_look_at() -> None:
    assert answerable("INTERNAL", "INTERNAL") == {"PUBLIC", "INTERNAL"}
    assert answerable("PUBLIC", "INTERNAL") == {"PUBLIC", "INTERNAL"}
    assert answerable("SENSITIVE", "INTERNAL") == frozenset()
