"""What may become of a pattern and of a specialist, as data."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from metaqore.errors import Conflict
from metaqore.hmcp.model import GateReport


class PatternState(StrEnum):
    """Where a pattern is."""

    #: Worth a specialist.
    PROPOSED = "proposed"
    TRAINING = "training"
    #: A specialist for it passed the gate.
    SPECIALISED = "specialised"
    #: Not worth one, or none passed; a later discovery may propose it again.
    REFUSED = "refused"


class SpecialistState(StrEnum):
    """Where a specialist is."""

    #: It passed the gate and is compared with its teacher on live traffic; it does not answer yet.
    PROPOSED = "proposed"
    #: It answers.
    ACTIVE = "active"
    #: It did not pass the gate. Final: another training makes another version.
    REFUSED = "refused"
    RETIRED = "retired"


PATTERN_TRANSITIONS: Mapping[PatternState, frozenset[PatternState]] = {
    PatternState.PROPOSED: frozenset({PatternState.TRAINING, PatternState.REFUSED}),
    PatternState.TRAINING: frozenset({PatternState.SPECIALISED, PatternState.REFUSED, PatternState.PROPOSED}),
    PatternState.SPECIALISED: frozenset({PatternState.TRAINING, PatternState.REFUSED, PatternState.PROPOSED}),
    PatternState.REFUSED: frozenset({PatternState.PROPOSED, PatternState.TRAINING}),
}

SPECIALIST_TRANSITIONS: Mapping[SpecialistState, frozenset[SpecialistState]] = {
    SpecialistState.PROPOSED: frozenset({SpecialistState.ACTIVE, SpecialistState.RETIRED}),
    SpecialistState.ACTIVE: frozenset({SpecialistState.RETIRED}),
    SpecialistState.REFUSED: frozenset(),
    SpecialistState.RETIRED: frozenset(),
}


def move_pattern(now: PatternState, to: PatternState) -> PatternState:
    """Return ``to`` where a pattern may go there from ``now``; staying is always allowed.

    Raises:
        Conflict: it may not.
    """
    if to != now and to not in PATTERN_TRANSITIONS[now]:
        allowed = ", ".join(sorted(PATTERN_TRANSITIONS[now]))
        raise Conflict(f"a pattern that is {now} cannot become {to}; it can become {allowed}")
    return to


def state_after_gate(report: GateReport, *, at_once: bool = False) -> SpecialistState:
    """Return what a specialist becomes: with every stage passed it is proposed, or active ``at_once``."""
    passed = SpecialistState.ACTIVE if at_once else SpecialistState.PROPOSED
    return passed if report.passed else SpecialistState.REFUSED
