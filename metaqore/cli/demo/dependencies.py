"""The act about dependencies: what the installed distributions require, and one of them that comes too early."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from metaqore.cli.demo.agents import Agent
from metaqore.cli.demo.artifacts import Say, declare_at_once
from metaqore.cli.demo.record import Record
from metaqore.cli.demo.requirements import Distribution

_ACT = "dependencies"


def declare_distributions(
    agents: Sequence[Agent], project: str, found: Sequence[Distribution], record: Record, say: Say
) -> None:
    """Declare distributions with what they require, the last one first, so that it has to wait for the others.

    Args:
        found: each after what it depends on.
    """
    *others, last = found
    early = agents[0].declare(_declaration(project, last), act=_ACT)
    missing = early.report.get("conflicts", ())
    say(f"{last.name} comes too early: {len(missing)} of its dependencies are missing")
    fates: Counter[str] = Counter()
    for layer in _layers(others):
        bodies = [_declaration(project, each) for each in layer]
        queues = [bodies[nth :: len(agents)] for nth in range(len(agents))]
        fates.update(answer.fate for answer in declare_at_once(agents, queues, _ACT))
    constraints = sum(len(each.requires) for each in found)
    say(f"{len(others)} distributions with their constraints are declared")
    later = early
    if missing:
        path = f"/conflicts/{missing[0]['id']}/resolve"
        later = agents[0].submit("conflict.resolve", path, {"strategy": "retry"}, act=_ACT)
        say(f"{last.name} is tried again → {later.fate}")
    if later.fate == "accepted":
        record.retry_helped()
    record.facts["dependencies"] = {
        "distributions": len(found), "constraints": constraints, "missing": len(missing),
    }  # fmt: skip
    seen = f"{fates['accepted']} of {len(others)} distributions accepted, {constraints} constraints"
    record.check("requirements become constraints", fates["accepted"] == len(others) > 0 < constraints, seen)
    seen = f"{last.name}: {early.fate} with {len(missing)} missing, then {later.fate}"
    record.check("what waited for its dependencies gets in", bool(missing) and later.fate == "accepted", seen)


def _layers(found: Sequence[Distribution]) -> Iterator[list[Distribution]]:
    """Yield runs of distributions of which none depends on another of its run."""
    layer: list[Distribution] = []
    done: set[str] = set()
    for each in found:
        if not set(each.depends_on) <= done:
            yield layer
            done |= {declared.name for declared in layer}
            layer = []
        layer.append(each)
    yield layer


def _declaration(project: str, found: Distribution) -> dict[str, Any]:
    return {
        "project": project, "type": "distribution", "name": found.name, "content": {"version": found.version},
        "requires": [{"name": name, "specifier": specifier} for name, specifier in found.requires],
        "depends_on": [{"type": "distribution", "name": name, "kind": "requires"} for name in found.depends_on],
    }  # fmt: skip
