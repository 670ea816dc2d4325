from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import msgspec
import pytest

from metaqore.hmcp.discover import discover, teacher_noise
from metaqore.hmcp.model import Pattern, TaskEvent
from metaqore.hmcp.policy import Policy
from metaqore.hmcp.signature import matches

MakeEvent = Callable[..., TaskEvent]
Tickets = Callable[..., list[TaskEvent]]
Words = Callable[[random.Random, int], str]

JOBS = {
    "Is this message spam or not?\nMessage: ": ["spam", "ham"],
    "You are a helpful assistant. Tell the language of: ": ["en", "de", "fr"],
    "You are a helpful assistant. Judge the tone of: ": ["kind", "rude"],
    'Ticket 4711: how urgent is it? "': ["low", "high"],
    "Sum up the text that follows here:\n": [],
}


def planted(event: MakeEvent, words: Words, seed: int) -> tuple[list[TaskEvent], list[str | None]]:
    rng = random.Random(seed)
    events: list[TaskEvent] = []
    truth: list[str | None] = []
    for job, labels in JOBS.items():
        for _ in range(rng.randint(180, 200)):
            prompt = job.replace("4711", str(rng.randrange(10_000))) + words(rng, rng.randint(4, 12))
            answer = rng.choice(labels) if labels else words(rng, 6)
            events.append(event(prompt, answer, agent=f"agent-{rng.randrange(3)}"))
            truth.append(job)
    for _ in range(800):
        opening = rng.choice(["You are a helpful assistant. ", "Is this ", "", "", ""])
        events.append(event(opening + words(rng, 12), words(rng, 3), agent=f"agent-{rng.randrange(3)}"))
        truth.append(None)
    return events, truth


@pytest.mark.parametrize("seed", range(2))
def test_planted_jobs_are_found_exactly(seed: int, event: MakeEvent, words: Words, policy: Policy, now: int) -> None:
    events, truth = planted(event, words, seed)

    patterns = discover(events, policy, now)

    found = {}
    for pattern in patterns:
        members = Counter(job for each, job in zip(events, truth, strict=True) if matches(pattern.signature, each))
        assert members.total() == pattern.events
        [(job, count)] = members.most_common(1)
        assert count == members.total()
        assert job is None or count == truth.count(job)
        found[job] = pattern
    # The common opening of the noise is a pattern too, and never proposed: its answers are free.
    assert found.keys() - {None} == JOBS.keys()
    assert {job for job, pattern in found.items() if pattern.proposed} == {job for job in JOBS if JOBS[job]}


def test_payloads_that_often_begin_alike_are_still_one_task(
    event: MakeEvent, words: Words, policy: Policy, now: int
) -> None:
    """The head has five tokens; a third of the payloads begins with one of two common words."""
    rng = random.Random(8)
    events = [
        event(
            f"Name the team: {'please ' if n % 6 == 0 else 'the ' if n % 6 == 1 else ''}{words(rng, 9)}",
            rng.choice(["a", "b"]),
            agent=f"agent-{n % 2}",
        )
        for n in range(600)
    ]
    [pattern] = discover(events, policy, now)
    assert (pattern.signature.value, pattern.signature.without, pattern.events) == ("Name the team :", (), 600)


def test_nothing_is_proposed_on_noise(event: MakeEvent, words: Words, policy: Policy, now: int) -> None:
    rng = random.Random(5)
    events = [event(words(rng, 10), words(rng, 2), agent=f"agent-{n % 4}") for n in range(3000)]
    assert [pattern for pattern in discover(events, policy, now) if pattern.proposed] == []


def test_nothing_is_proposed_on_noise_with_few_different_answers(
    event: MakeEvent, words: Words, policy: Policy, now: int
) -> None:
    rng = random.Random(6)
    events = [event(words(rng, 10), rng.choice(["yes", "no"]), agent=f"agent-{n % 4}") for n in range(3000)]
    assert discover(events, policy, now) == []


def test_a_template_is_a_pattern_by_its_key(tickets: Tickets, policy: Policy, now: int) -> None:
    events = tickets(200, template="ticket@1", head="") + tickets(200, template="ticket@2", head="", seed=1)
    patterns = discover(events, policy, now)
    assert {(p.signature.kind, p.signature.value, p.events) for p in patterns} == {
        ("template", "ticket@1", 200),
        ("template", "ticket@2", 200),
    }


def test_a_pattern_below_the_privacy_floor_is_not_even_shown(tickets: Tickets, policy: Policy, now: int) -> None:
    floor = policy.discover.privacy_floor
    few = tickets(floor.events - 1)
    assert discover(few, policy, now) == []
    assert len(discover(tickets(floor.events), policy, now)) == 1
    lonely = [msgspec.structs.replace(event, agent="agent-0") for event in tickets(500)]
    assert discover(lonely, policy, now) == []


def test_organizations_never_add_up(tickets: Tickets, policy: Policy, now: int) -> None:
    events = tickets(59, organization="one") + tickets(59, organization="two")
    assert discover(events, policy, now) == []
    events = tickets(60, organization="one") + tickets(70, organization="two")
    assert {(p.organization, p.events) for p in discover(events, policy, now)} == {("one", 60), ("two", 70)}


@pytest.mark.parametrize("label", ["SENSITIVE", "CRITICAL", "", "SECRET"])
def test_calls_above_the_sensitivity_or_without_a_known_one_are_not_looked_at(
    label: str, tickets: Tickets, policy: Policy, now: int
) -> None:
    assert discover(tickets(300, label=label), policy, now) == []
    assert len(discover(tickets(300, label="public"), policy, now)) == 1


def test_calls_outside_the_window_are_not_looked_at(tickets: Tickets, policy: Policy, now: int) -> None:
    day = 86_400_000
    assert discover(tickets(300, at=now - 8 * day), policy, now) == []
    assert discover(tickets(300, at=now + 1), policy, now) == []
    assert len(discover(tickets(300, at=now - 6 * day), policy, now)) == 1


def reasons(patterns: list[Pattern]) -> str:
    [pattern] = patterns
    return " | ".join(pattern.reasons)


def test_a_task_is_not_proposed_before_a_certificate_is_possible(tickets: Tickets, policy: Policy, now: int) -> None:
    assert policy.needed_events == 180  # 45 without an error, and a quarter of the events calibrates
    assert "at least 180" in reasons(discover(tickets(179), policy, now))
    assert reasons(discover(tickets(180), policy, now)) == ""


def test_a_task_is_not_proposed_before_it_pays(tickets: Tickets, policy: Policy, now: int) -> None:
    assert "building pays from 10000" in reasons(discover(tickets(200, tokens=55), policy, now))
    assert reasons(discover(tickets(200, tokens=56), policy, now)) == ""  # 200 × 56 × 0.9 > 10000


def test_a_teacher_that_contradicts_itself_cannot_be_learnt(
    event: MakeEvent, tickets: Tickets, policy: Policy, now: int
) -> None:
    events = tickets(300)
    same = [event(each.prompt, each.output, agent="agent-1") for each in events[:40]]
    other = [event(each.prompt, "network" if each.output == "billing" else "billing") for each in events[:2]]
    assert reasons(discover(events + same, policy, now)) == ""
    assert "contradicts itself on 4.8% of 42" in reasons(discover(events + same + other, policy, now))


def test_teacher_noise_counts_answers_that_differ_from_the_first(event: MakeEvent) -> None:
    events = [event("p", "a"), event("p", "a."), event("p", "b"), event("q", "x")]
    assert teacher_noise(events) == (0.5, 2)
    assert teacher_noise(events[:1]) == (0.0, 0)


def test_a_constant_answer_is_not_proposed(tickets: Tickets, policy: Policy, now: int) -> None:
    events = [msgspec.structs.replace(event, output="ok") for event in tickets(300)]
    assert "every answer is the same" in reasons(discover(events, policy, now))


def test_a_pattern_survives_the_way_through_json(tickets: Tickets, policy: Policy, now: int) -> None:
    [pattern] = discover(tickets(200), policy, now)
    assert Pattern.from_json(pattern.to_json()) == pattern


def test_the_order_of_events_does_not_matter(event: MakeEvent, words: Words, policy: Policy, now: int) -> None:
    events, _ = planted(event, words, 4)
    shuffled = random.Random(1).sample(events, len(events))
    assert discover(shuffled, policy, now) == discover(events, policy, now)
