"""What may become of a pattern and of a specialist, as data, and who answers a task."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from metaqore.errors import Conflict
from metaqore.hmcp.model import GateReport, Prediction


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

    ACTIVE = "active"
    #: It did not pass the gate. Final: another training makes another version.
    REFUSED = "refused"
    RETIRED = "retired"


PATTERN_TRANSITIONS: Mapping[PatternState, frozenset[PatternState]] = {
    PatternState.PROPOSED: frozenset({PatternState.TRAINING, PatternState.REFUSED}),
    PatternState.TRAINING: frozenset({PatternState.SPECIALISED, PatternState.REFUSED, PatternState.PROPOSED}),
    PatternState.SPECIALISED: frozenset({PatternState.TRAINING, PatternState.REFUSED}),
    PatternState.REFUSED: frozenset({PatternState.PROPOSED, PatternState.TRAINING}),
}

SPECIALIST_TRANSITIONS: Mapping[SpecialistState, frozenset[SpecialistState]] = {
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


def state_after_gate(report: GateReport) -> SpecialistState:
    """Return what a specialist becomes: active only with every stage passed."""
    return SpecialistState.ACTIVE if report.passed else SpecialistState.REFUSED


def answers(state: SpecialistState, prediction: Prediction) -> bool:
    """Return whether the specialist answers in place of its teacher."""
    return state is SpecialistState.ACTIVE and prediction.routed
