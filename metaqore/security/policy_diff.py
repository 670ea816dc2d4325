"""What changes between two policy files: in their texts, and in the decisions that they make. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from metaqore.security.cel_check import show
from metaqore.security.model import Label
from metaqore.security.policy_cases import Case, decide_case
from metaqore.security.policy_file import Policies
from metaqore.security.rule import Rule


def changes(old: Policies, new: Policies) -> Iterator[str]:
    """Yield one sentence for each difference in routing and rules."""
    for name in sorted({*old, *new}):
        if name not in old or name not in new:
            yield f"{'+' if name in new else '-'} policy {name}"
            continue
        before, after = old[name], new[name]
        for label in Label:
            if before.routing[label] != after.routing[label]:
                first, second = _listed(before.routing[label]), _listed(after.routing[label])
                yield f"~ policy {name}: {label.name} {first} → {second}"
        if before.threats != after.threats:
            yield f"~ policy {name}: threats {before.threats} → {after.threats}"
    yield from _rule_changes(
        {rule.id: rule for rule in old.layer.rules.rules}, {rule.id: rule for rule in new.layer.rules.rules}
    )
    if old.layer.rules.otherwise != new.layer.rules.otherwise:
        yield f"~ otherwise: {old.layer.rules.otherwise} → {new.layer.rules.otherwise}"


def _rule_changes(old: dict[str, Rule], new: dict[str, Rule]) -> Iterator[str]:
    for name in sorted({*old, *new}):
        if name not in old or name not in new:
            yield f"{'+' if name in new else '-'} rule {(new if name in new else old)[name].name}"
            continue
        before, after = old[name], new[name]
        parts = [
            f"{what} {first} → {second}"
            for what, first, second in (
                ("mode", before.mode.value, after.mode.value),
                ("effect", _effect(before), _effect(after)),
                ("when", show(before.tree), show(after.tree)),
                ("message", before.message, after.message),
            )
            if first != second
        ]
        if parts:
            same = " (the version is the same: raise it)" if before.version == after.version else ""
            yield f"~ rule {before.name} → {after.name}{same}: {'; '.join(parts)}"


def decisions(cases: Sequence[Case], old: Policies, new: Policies) -> Iterator[str]:
    """Yield one sentence for each case that is decided otherwise."""
    for case in cases:
        before, after = decide_case(case, old), decide_case(case, new)
        parts = [
            f"{what} {first} → {second}"
            for what, first, second in (
                ("verdict", before.verdict.value, after.verdict.value),
                ("label", _label(before.label), _label(after.label)),
                ("providers", _listed(before.providers_allowed), _listed(after.providers_allowed)),
                ("obligations", _listed(before.obligations), _listed(after.obligations)),
            )
            if first != second
        ]
        if parts:
            yield f"{case.name}: {'; '.join(parts)}"


def _effect(rule: Rule) -> str:
    argument = rule.argument.name if isinstance(rule.argument, Label) else rule.argument
    return rule.effect.value if argument is None else f"{rule.effect.value}: {argument}"


def _label(label: Label | None) -> str:
    return "none" if label is None else label.name


def _listed(items: Sequence[str]) -> str:
    return ", ".join(items) or "nowhere"
