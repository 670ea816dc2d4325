"""Generated traffic: a task with a teacher whose rule can be learnt, and prompts that repeat nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from metaqore.attack.adversary import SuiteAdversary
from metaqore.attack.suite_file import load_suite
from metaqore.hmcp.build import Built, build
from metaqore.hmcp.discover import discover
from metaqore.hmcp.model import Pattern, TaskEvent
from metaqore.hmcp.policy import Policy, load
from metaqore.hmcp.train import Trained, train

#: Who attacks candidates: the scenarios that are shipped.
SHIPPED = SuiteAdversary(load_suite())
NOW = 1_700_000_000_000
HEAD = "Decide which team takes this ticket.\nTicket: "
TEAMS = {
    "billing": ["invoice", "refund", "charge", "payment", "receipt"],
    "network": ["router", "latency", "packet", "dns", "vpn"],
    "accounts": ["password", "login", "profile", "username", "session"],
}
_SYLLABLES = ["ba", "ce", "di", "fo", "gu", "ha", "ki", "lo", "mu", "ne", "pa", "ri", "so", "tu", "ve", "zo"]

MakeEvent = Callable[..., TaskEvent]
Tickets = Callable[..., list[TaskEvent]]
Words = Callable[[random.Random, int], str]
Propose = Callable[..., Pattern]


def made_up(rng: random.Random, count: int) -> str:
    """``count`` words that mean nothing."""
    return " ".join("".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(2, 4))) for _ in range(count))


def make(prompt: str, output: str, **more: Any) -> TaskEvent:
    """An event; what is not given is unremarkable."""
    fields = {
        "organization": "acme",
        "agent": "agent-0",
        "template": None,
        "tokens": 100,
        "label": "INTERNAL",
        "at": NOW - 1000,
    }
    return TaskEvent(**{**fields, **more}, prompt=prompt, output=output)


def make_tickets(count: int, *, seed: int = 0, noise: float = 0.0, head: str = HEAD, **more: Any) -> list[TaskEvent]:
    """Tickets of made-up words with one telling word; the teacher answers at random in ``noise`` of them."""
    rng = random.Random(seed)
    events = []
    for index in range(count):
        team = rng.choice(list(TEAMS))
        text = f"{made_up(rng, rng.randint(3, 6))} {rng.choice(TEAMS[team])} {made_up(rng, rng.randint(3, 6))}"
        answer = rng.choice(list(TEAMS)) if rng.random() < noise else team
        at = NOW - 1_000_000 + index * 1000
        events.append(make(head + text, answer, **{"at": at, "agent": f"agent-{index % 3}", **more}))
    return events


@pytest.fixture(scope="session")
def policy() -> Policy:
    """The policy that is shipped."""
    return load(Path(__file__).parents[3] / "config" / "hmcp.yaml")


@pytest.fixture(scope="session")
def now() -> int:
    return NOW


@pytest.fixture(scope="session")
def head() -> str:
    return HEAD


@pytest.fixture(scope="session")
def words() -> Words:
    return made_up


@pytest.fixture(scope="session")
def event() -> MakeEvent:
    return make


@pytest.fixture(scope="session")
def tickets() -> Tickets:
    return make_tickets


@pytest.fixture(scope="session")
def propose(policy: Policy) -> Propose:
    """Events → the one pattern that is found in them."""

    def find(events: list[TaskEvent], under: Policy = policy) -> Pattern:
        [pattern] = discover(events, under, NOW)
        return pattern

    return find


@pytest.fixture(scope="session")
def learnt(policy: Policy, propose: Propose) -> Trained:
    """A specialist for tickets, not gated yet."""
    events = make_tickets(300)
    return train(propose(events), events, policy)


@pytest.fixture(scope="session")
def built(policy: Policy, propose: Propose) -> Built:
    """A specialist for tickets with its gate report."""
    events = make_tickets(400)
    return build(propose(events), events, policy, SHIPPED)


@pytest.fixture(scope="session")
def with_alpha(policy: Policy) -> Callable[[float], Policy]:
    """alpha → the shipped policy with it."""
    return lambda alpha: msgspec.structs.replace(policy, certify=msgspec.structs.replace(policy.certify, alpha=alpha))
