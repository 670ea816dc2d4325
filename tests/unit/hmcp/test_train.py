from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
import pytest

from metaqore.hmcp.artefact import load
from metaqore.hmcp.model import Pattern, TaskEvent
from metaqore.hmcp.policy import Policy
from metaqore.hmcp.train import NotTrainable, Trained, examples_of, train

Tickets = Callable[..., list[TaskEvent]]
Propose = Callable[..., Pattern]


def test_what_can_be_learnt_is_learnt_and_certified(learnt: Trained, tickets: Tickets) -> None:
    certificate = learnt.specialist.certificate
    assert certificate is not None
    assert certificate.p_value <= 0.10
    fresh = tickets(300, seed=99)
    predictions = load(learnt.artefact).predict([event.prompt for event in fresh])
    routed = [p.answer == e.output for p, e in zip(predictions, fresh, strict=True) if p.routed]
    assert len(routed) > 200
    assert sum(routed) / len(routed) >= 0.95


def test_the_blocks_follow_each_other_in_time_and_the_gate_is_the_latest(learnt: Trained) -> None:
    blocks = learnt.specialist.blocks
    assert blocks["train"].last_at < blocks["calibration"].first_at
    assert blocks["calibration"].last_at < blocks["gate"].first_at
    assert [blocks[name].examples for name in ("train", "calibration", "gate")] == [150, 75, 75]
    assert len(learnt.gate) == 75
    assert min(example.at for example in learnt.gate) == blocks["gate"].first_at


def test_the_same_events_in_any_order_give_the_same_bytes(
    learnt: Trained, tickets: Tickets, propose: Propose, policy: Policy
) -> None:
    events = tickets(300)
    pattern = propose(events)
    assert train(pattern, random.Random(3).sample(events, len(events)), policy) == learnt


def test_other_events_another_policy_or_another_seed_show_in_the_manifest(
    learnt: Trained, tickets: Tickets, propose: Propose, policy: Policy
) -> None:
    events = tickets(300)
    reseeded = msgspec.structs.replace(policy, train=msgspec.structs.replace(policy.train, seed=8))
    other = train(propose(events), events, reseeded).specialist
    assert other.policy_hash != learnt.specialist.policy_hash
    assert other.data_hash == learnt.specialist.data_hash
    another = "network" if events[0].output != "network" else "billing"
    events[0] = msgspec.structs.replace(events[0], output=another)
    assert train(propose(events), events, policy).specialist.data_hash != learnt.specialist.data_hash


def test_answers_without_a_rule_certify_nothing(tickets: Tickets, propose: Propose, policy: Policy) -> None:
    events = tickets(240, noise=1.0)
    trained = train(propose(events), events, policy)
    assert trained.specialist.certificate is None
    assert not [p for p in load(trained.artefact).predict([e.prompt for e in events]) if p.routed]


def test_near_duplicates_go_before_the_split(tickets: Tickets, propose: Propose, policy: Policy) -> None:
    """Copies of what was trained on would make calibration and gate too easy; here they would be all of both."""
    events = tickets(200)
    later = [msgspec.structs.replace(event, at=event.at + 500_000) for event in events]
    trained = train(propose(events + later), events + later, policy)
    assert trained.specialist.measures["recorded"] == 400
    assert trained.specialist.measures["near_duplicates"] == 200
    assert sum(block.examples for block in trained.specialist.blocks.values()) == 200
    prompts = [example.prompt for example in trained.gate]
    assert not set(prompts) & {event.prompt for event in events[:150]}


def test_too_few_different_examples_are_refused_with_the_numbers(
    tickets: Tickets, propose: Propose, policy: Policy
) -> None:
    events = tickets(100) * 3
    with pytest.raises(NotTrainable, match=r"100 examples remain without near-duplicates, 25 .* needs 45"):
        train(propose(events), events, policy)


def test_one_label_in_the_training_part_is_refused(tickets: Tickets, propose: Propose, policy: Policy) -> None:
    events = sorted(tickets(300), key=lambda event: event.at)
    events = [msgspec.structs.replace(event, output="a" if index < 200 else "b") for index, event in enumerate(events)]
    with pytest.raises(NotTrainable, match="1 label"):
        train(propose(events), events, policy)


def test_examples_of_other_tasks_organizations_and_sensitivities_are_left_out(
    tickets: Tickets, propose: Propose, policy: Policy
) -> None:
    events = tickets(200)
    pattern = propose(events)
    foreign = (
        tickets(50, seed=1, organization="other")
        + tickets(50, seed=2, label="CRITICAL")
        + tickets(50, seed=3, template="t")
        + tickets(50, seed=4, head="Another task altogether, is it not? ")
    )
    assert examples_of(pattern, events + foreign, policy) == examples_of(pattern, events, policy)
    assert len(examples_of(pattern, events, policy)) == 200


def test_only_the_latest_examples_are_taken(tickets: Tickets, propose: Propose, policy: Policy) -> None:
    events = tickets(200)
    small = msgspec.structs.replace(policy, train=msgspec.structs.replace(policy.train, max_examples=50))
    taken = examples_of(propose(events), events, small)
    assert [example.prompt for example in taken] == [event.prompt for event in events[-50:]]


def test_an_answer_outside_the_labels_counts_as_an_error_and_is_not_learnt(
    tickets: Tickets, propose: Propose, policy: Policy
) -> None:
    events = tickets(400)
    strays = {100: "perhaps", 240: "who knows", 330: "either"}  # one in each block
    events = [
        msgspec.structs.replace(event, output=strays.get(index, event.output)) for index, event in enumerate(events)
    ]
    trained = train(propose(events), events, policy)
    assert trained.specialist.labels == ("accounts", "billing", "network")
    certificate = trained.specialist.certificate
    assert certificate is not None
    assert certificate.errors == 1
