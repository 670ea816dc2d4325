"""The catalogue of conflict rules: every class of conflict there is, with its defaults. Pure data.

A conflict class is stable: clients match on it, and the audit log keeps it. The policy may change severity, strategy
and mode of a rule, never its class or id. Adding a class: one rule here, and a check that finds it (``checks``).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, get_args

import msgspec

Mode = Literal["strict", "adaptive", "playground"]
MODES: tuple[Mode, ...] = get_args(Mode)

#: What adaptive makes of a conflict. ``resolve``: the check's own way out, where it is safe, else it blocks.
#: ``record``: let through, with a record. ``block``: as strict.
Adaptive = Literal["resolve", "record", "block"]


class Severity(StrEnum):
    """How bad a conflict is."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Strategy(StrEnum):
    """The four ways out of a conflict."""

    RETRY = "retry"
    MERGE = "merge"
    OVERRIDE = "override"
    ESCALATE = "escalate"


class Rule(msgspec.Struct, frozen=True):
    """One conflict rule.

    ``mode`` overrules the project's mode for this rule; None leaves it.
    """

    id: str
    conflict_class: str
    severity: Severity
    strategy: Strategy
    adaptive: Adaptive = "block"
    mode: Mode | None = None


def _rule(conflict_class: str, severity: Severity, strategy: Strategy, adaptive: Adaptive = "block") -> Rule:
    return Rule(f"psmp.{conflict_class}.v1", conflict_class, severity, strategy, adaptive)


#: The head is not where this started from, and nobody else has moved it.
VERSION_MISMATCH = _rule("version_mismatch", Severity.MEDIUM, Strategy.RETRY, "resolve")
#: Another principal has moved the head since.
PARALLEL_CREATION = _rule("parallel_creation", Severity.HIGH, Strategy.MERGE, "resolve")
#: The three-way merge with the head fails.
CONTENT_CONFLICT = _rule("content_conflict", Severity.HIGH, Strategy.RETRY)
FIELD_OWNERSHIP = _rule("field_ownership", Severity.MEDIUM, Strategy.ESCALATE)

MISSING_DEPENDENCY = _rule("missing_dependency", Severity.HIGH, Strategy.RETRY)
CIRCULAR_DEPENDENCY = _rule("circular_dependency", Severity.CRITICAL, Strategy.ESCALATE)
#: It depends on a version that is not the newest.
SUPERSEDED_DEPENDENCY = _rule("superseded_dependency", Severity.LOW, Strategy.RETRY, "record")
DEPRECATED_DEPENDENCY = _rule("deprecated_dependency", Severity.MEDIUM, Strategy.RETRY, "record")
#: What it depends on is itself blocked: a proposal that was not admitted, or an artifact in a state to stay away from.
BLOCKED_DEPENDENCY = _rule("blocked_dependency", Severity.HIGH, Strategy.RETRY)
#: No version lies within the range.
UNSATISFIED_RANGE = _rule("unsatisfied_range", Severity.HIGH, Strategy.RETRY)
#: No version satisfies what it requires and what others require.
CONSTRAINT_CONFLICT = _rule("constraint_conflict", Severity.HIGH, Strategy.RETRY)

CLAIM_COLLISION = _rule("claim_collision", Severity.HIGH, Strategy.RETRY)
#: What it read has changed since (write skew).
READ_SET_CHANGED = _rule("read_set_changed", Severity.MEDIUM, Strategy.RETRY)
#: The same content under another name, or somebody else's announced intent.
DUPLICATE_WORK = _rule("duplicate_work", Severity.LOW, Strategy.RETRY, "resolve")

#: Its lifecycle does not allow the move.
ILLEGAL_TRANSITION = _rule("illegal_transition", Severity.MEDIUM, Strategy.RETRY)
#: It would be deleted though others depend on it.
DEPENDANTS_REMAIN = _rule("dependants_remain", Severity.HIGH, Strategy.RETRY)
#: Its label would be lower than that of what it was made from.
LABEL_LOWERED = _rule("label_lowered", Severity.HIGH, Strategy.ESCALATE, "resolve")
#: A bound of the policy is passed.
BOUND_EXCEEDED = _rule("bound_exceeded", Severity.MEDIUM, Strategy.ESCALATE)

#: By conflict class.
RULES: Mapping[str, Rule] = {
    rule.conflict_class: rule
    for rule in (
        VERSION_MISMATCH, PARALLEL_CREATION, CONTENT_CONFLICT, FIELD_OWNERSHIP, MISSING_DEPENDENCY,
        CIRCULAR_DEPENDENCY, SUPERSEDED_DEPENDENCY, DEPRECATED_DEPENDENCY, BLOCKED_DEPENDENCY, UNSATISFIED_RANGE,
        CONSTRAINT_CONFLICT, CLAIM_COLLISION, READ_SET_CHANGED, DUPLICATE_WORK, ILLEGAL_TRANSITION, DEPENDANTS_REMAIN,
        LABEL_LOWERED, BOUND_EXCEEDED,
    )
}  # fmt: skip
#: Classes that the engine can resolve; all but the last do so where the policy says nothing.
RESOLVABLE = frozenset({*(name for name, rule in RULES.items() if rule.adaptive == "resolve"), "constraint_conflict"})
