"""A specialist for the maintenance types that the mock provider sorts changes by, and calls of its task."""

from __future__ import annotations

import random
from functools import lru_cache
from pathlib import Path
from typing import Any

from metaqore.clock import now_ms
from metaqore.hmcp.discover import discover
from metaqore.hmcp.effects import NewSpecialist, SavePattern
from metaqore.hmcp.model import Pattern, TaskEvent
from metaqore.hmcp.policy import load
from metaqore.hmcp.train import Trained, train
from metaqore.llm.model import Template
from metaqore.store.unit_of_work import SqlStore

POLICY = load(Path(__file__).parents[1] / "config" / "hmcp.yaml")
TEMPLATE = Template(id="change-type/test", text="Which maintenance type has this change?\n\n{{change}}")
#: The mock provider's words for each type, see config/providers.yaml.
WORDS = {"corrective": ["fix", "bug", "crash"], "adaptive": ["upgrade", "bump"], "additive": ["add", "support"],
         "preventive": ["refactor", "cleanup"]}  # fmt: skip
_SYLLABLES = ["ba", "ce", "di", "fo", "gu", "ha", "ki", "lo", "mu", "ne", "pa", "ri", "so", "tu", "ve", "zo"]


def changes(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """(message, type) of made-up changes with one telling word each."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        kind = rng.choice(list(WORDS))
        before, after = (
            " ".join("".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(2, 4))) for _ in range(3))
            for _ in range(2)
        )
        found.append((f"{before} {rng.choice(WORDS[kind])} {after}", kind))
    return found


def call(change: str, **more: Any) -> dict[str, Any]:
    """The payload of a call about a change."""
    template = {"id": TEMPLATE.id, "text": TEMPLATE.text}
    return {"template": template, "variables": {"change": change}, "max_tokens": 16, **more}


@lru_cache
def trained(organization: str, projects: tuple[str | None, ...] = (None,)) -> tuple[Pattern, Trained]:
    """The pattern and a specialist for it, certified and not gated; trained once in a test process."""
    at = now_ms() - 10_000_000
    events = [
        TaskEvent(
            organization=organization, agent=f"agent-{nth % 3}", template=TEMPLATE.key,
            prompt=TEMPLATE.text.replace("{{change}}", change), output=kind, tokens=100, label="PUBLIC",
            at=at + nth * 1000, project=projects[nth % len(projects)],
        )
        for nth, (change, kind) in enumerate(changes(300))
    ]  # fmt: skip
    [pattern] = discover(events, POLICY, now_ms())
    return pattern, train(pattern, events, POLICY)


def register(
    store: SqlStore, organization: str, *, key: str = "spec_test", version: int = 1, state: str = "active"
) -> str:
    """Put the specialist into a database; return its id."""
    pattern, made = trained(organization)
    now = now_ms()
    with store.write() as tx:
        tx.apply(
            [
                SavePattern("pat_test", organization, f"template:{TEMPLATE.key}", "specialised", pattern.events, "{}",
                            "req_0", now, now),
                NewSpecialist(key, organization, "pat_test", version, state, made.artefact.manifest.decode(), "{}",
                              made.artefact.weights, made.artefact.digest, "req_0", now, now),
            ]
        )  # fmt: skip
    return key
