"""All rules of one policy document, ready to be asked. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from metaqore.security.facts import VOCABULARY
from metaqore.security.rule import Effect, Rule
from metaqore.security.rule_index import RuleIndex


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules of one document, by when they are asked."""

    rules: tuple[Rule, ...]
    #: What becomes of a request that no enforced ``allow`` rule matches.
    otherwise: Literal["allow", "deny"]
    #: Rules that raise the label: asked first.
    raising: RuleIndex
    #: Rules about the request and its payload.
    plain: RuleIndex
    #: Rules about a provider: asked for each that may be used.
    late: RuleIndex
    #: Denials and approvals that need nothing but the request itself: asked for every kind of request.
    early: RuleIndex


def ruleset(rules: Sequence[Rule], otherwise: Literal["allow", "deny"] = "allow") -> RuleSet:
    """Return the rules, indexed."""
    raising, late, plain = [], [], []
    for rule in rules:
        if rule.effect is Effect.RAISE_LABEL:
            raising.append(rule)
        elif any(VOCABULARY[fact].late for fact in rule.facts):
            late.append(rule)
        else:
            plain.append(rule)
    return RuleSet(
        tuple(rules),
        otherwise,
        RuleIndex(raising),
        RuleIndex(plain),
        RuleIndex(late),
        RuleIndex([rule for rule in plain if is_early(rule.effect, rule.facts)]),
    )


def is_early(effect: Effect, facts: frozenset[str]) -> bool:
    """Tell whether a rule holds for every kind of request, whatever is in it."""
    return effect in (Effect.DENY, Effect.REQUIRE_APPROVAL) and all(VOCABULARY[fact].early for fact in facts)


NO_RULES = ruleset(())
