"""What the modes make of conflicts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from metaqore.psmp.catalogue import Mode, Rule
from metaqore.psmp.model import Conflict


class Ruling(Enum):
    """What a mode makes of a conflict, the mildest first."""

    ADMIT = "admit"
    RESOLVE = "resolve"
    BLOCK = "block"


def ruling_of(mode: Mode, rule: Rule, *, forced: bool = False) -> Ruling:
    """Return what the mode makes of a conflict of ``rule``.

    strict blocks on any conflict; adaptive resolves what the engine can resolve safely, lets through what is no more
    than a warning, and blocks on the rest; playground records and never blocks.

    Args:
        forced: the mode holds although the rule has one of its own; an override by a person does that.
    """
    mode = mode if forced or rule.mode is None else rule.mode
    if mode == "playground":
        return Ruling.ADMIT
    if mode == "strict" or rule.adaptive == "block":
        return Ruling.BLOCK
    return Ruling.RESOLVE if rule.adaptive == "resolve" else Ruling.ADMIT


def rule_on(mode: Mode, conflicts: Iterable[Conflict], *, forced: bool = False) -> Ruling:
    """Return what becomes of all of them together: the severest ruling of any."""
    rulings = {ruling_of(mode, conflict.rule, forced=forced) for conflict in conflicts}
    return next((each for each in (Ruling.BLOCK, Ruling.RESOLVE) if each in rulings), Ruling.ADMIT)
