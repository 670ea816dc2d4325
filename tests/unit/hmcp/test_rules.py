from __future__ import annotations

import pytest

from metaqore.errors import Conflict
from metaqore.hmcp.model import GateReport, StageResult
from metaqore.hmcp.rules import (
    PATTERN_TRANSITIONS,
    SPECIALIST_TRANSITIONS,
    PatternState,
    SpecialistState,
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


def test_who_passed_the_gate_is_proposed_or_active_at_once_and_nobody_else() -> None:
    good, bad = StageResult("functional", True), StageResult("adversarial", False)
    assert state_after_gate(GateReport((good,))) is SpecialistState.PROPOSED
    assert state_after_gate(GateReport((good,)), at_once=True) is SpecialistState.ACTIVE
    assert state_after_gate(GateReport((good, bad)), at_once=True) is SpecialistState.REFUSED
    assert state_after_gate(GateReport(())) is SpecialistState.REFUSED
