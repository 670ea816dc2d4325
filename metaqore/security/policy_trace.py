"""Why a rule matched, or which part of its condition did not hold. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from metaqore.security.cel_check import show
from metaqore.security.cel_compile import compiled
from metaqore.security.constraints import conjuncts
from metaqore.security.facts import VOCABULARY, Facts
from metaqore.security.layers import Stack
from metaqore.security.rule import Rule


@dataclass(frozen=True, slots=True)
class Traced:
    """One rule against one set of facts."""

    scope: str
    rule: Rule
    matched: bool
    #: The first part of the condition that does not hold.
    failed: str | None
    #: The facts that the condition looks at.
    facts: dict[str, object]


def trace(layers: Stack, facts: Facts, *, late: bool) -> list[Traced]:
    """Return every rule of every layer with what became of it.

    Args:
        late: rules about a provider, or those about the request and its payload.
    """
    found = []
    for layer in layers.layers:
        for rule in layer.rules.rules:
            if any(VOCABULARY[fact].late for fact in rule.facts) is not late:
                continue
            failed = next((part for part in conjuncts(rule.tree) if not compiled(part)(facts)), None)
            found.append(
                Traced(
                    layer.scope, rule, failed is None, None if failed is None else show(failed),
                    {name: facts[name] for name in sorted(rule.facts)},
                )
            )  # fmt: skip
    return found
