"""Generated traffic: a task with a teacher whose rule can be learnt, and prompts that repeat nothing."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec

from metaqore.hmcp.model import Pattern, TaskEvent
from metaqore.hmcp.policy import Policy, load

POLICY = load(Path(__file__).parents[3] / "config" / "hmcp.yaml")
NOW = 1_700_000_000_000
HEAD = "Decide which team takes this ticket.\nTicket: "

_TEAMS = {
    "billing": ["invoice", "refund", "charge", "payment", "receipt"],
    "network": ["router", "latency", "packet", "dns", "vpn"],
    "accounts": ["password", "login", "profile", "username", "session"],
}
_SYLLABLES = ["ba", "ce", "di", "fo", "gu", "ha", "ki", "lo", "mu", "ne", "pa", "ri", "so", "tu", "ve", "zo"]


def word(rng: random.Random) -> str:
    return "".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(2, 4)))


def words(rng: random.Random, count: int) -> str:
    return " ".join(word(rng) for _ in range(count))


def event(prompt: str, output: str, *, at: int = NOW - 1000, **more: object) -> TaskEvent:
    fields = {"organization": "acme", "agent": "agent-0", "template": None, "tokens": 100, "label": "INTERNAL"}
    return TaskEvent(**{**fields, **more}, prompt=prompt, output=output, at=at)  # type: ignore[arg-type]


def tickets(count: int, *, seed: int = 0, noise: float = 0.0, head: str = HEAD) -> list[TaskEvent]:
    """Tickets of made-up words with one telling word; the teacher errs at random in ``noise`` of them."""
    rng = random.Random(seed)
    events = []
    for index in range(count):
        team = rng.choice(list(_TEAMS))
        text = f"{words(rng, rng.randint(3, 6))} {rng.choice(_TEAMS[team])} {words(rng, rng.randint(3, 6))}"
        answer = rng.choice(list(_TEAMS)) if rng.random() < noise else team
        at = NOW - 1_000_000 + index * 1000
        events.append(event(head + text, answer, at=at, agent=f"agent-{index % 3}"))
    return events


def with_alpha(alpha: float, policy: Policy = POLICY) -> Policy:
    return msgspec.structs.replace(policy, certify=msgspec.structs.replace(policy.certify, alpha=alpha))


def pattern_of(events: list[TaskEvent], policy: Policy = POLICY) -> Pattern:
    from metaqore.hmcp.discover import discover

    [pattern] = discover(events, policy, NOW)
    return pattern
