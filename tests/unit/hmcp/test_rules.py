from __future__ import annotations

import pytest

from metaqore.errors import Conflict
from metaqore.hmcp.model import GateReport, Prediction, StageResult
from metaqore.hmcp.rules import (
    PATTERN_TRANSITIONS,
    SPECIALIST_TRANSITIONS,
    PatternState,
    SpecialistState,
    answers,
    move_pattern,
    state_after_gate,
)


@pytest.mark.parametrize("now", PatternState)
@pytest.mark.parametrize("to", PatternState)
def test_a_pattern_moves_only_along_the_table(now: PatternState, to: PatternState) -> None:
    if to == now or to in PATTERN_TRANSITIONS[now]:
        assert move_pattern(now, to) == to
    else:
        with pytest.raises(Conflict, match=f"{now} cannot become {to}"):
            move_pattern(now, to)


def test_every_state_has_its_row() -> None:
    assert set(PATTERN_TRANSITIONS) == set(PatternState)
    assert set(SPECIALIST_TRANSITIONS) == set(SpecialistState)


def test_only_a_passed_gate_makes_a_specialist_active() -> None:
    good, bad = StageResult("functional", True), StageResult("adversarial", False)
    assert state_after_gate(GateReport((good,))) is SpecialistState.ACTIVE
    assert state_after_gate(GateReport((good, bad))) is SpecialistState.REFUSED
    assert state_after_gate(GateReport(())) is SpecialistState.REFUSED


def test_only_an_active_specialist_answers_and_only_what_it_is_sure_of() -> None:
    sure, unsure = Prediction("a", 0.9, True), Prediction("a", 0.1, False)
    assert answers(SpecialistState.ACTIVE, sure)
    assert not answers(SpecialistState.ACTIVE, unsure)
    assert not answers(SpecialistState.RETIRED, sure)
    assert not answers(SpecialistState.REFUSED, sure)
