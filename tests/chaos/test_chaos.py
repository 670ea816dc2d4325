"""The ninety-second form of ``make chaos``, and the control run that must lose."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import run


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_nothing_accepted_is_lost_or_done_twice_while_everything_is_killed(tmp_path: Path) -> None:
    found, done = run(tmp_path, seconds=75, agents=6, seed=7, at_least=11)

    assert found.is_clean, (found, done)
    assert sum(done.values()) >= 11
    assert {"wipe valkey", "stop valkey", "kill api"} <= done.keys(), done
    assert found.acknowledged > 100
    assert found.deliveries_per_request > 1.0, "the faults did not bite"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_checker_finds_losses_where_nobody_sweeps_or_drains(tmp_path: Path) -> None:
    found, _ = run(tmp_path, seconds=4, agents=2, control=True)

    assert found.acknowledged > 0
    assert found.acknowledged == found.lost
    assert not found.is_clean
