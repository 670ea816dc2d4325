"""Both tests hold what they promise over many simulated lives, and see what they are there to see."""

from __future__ import annotations

import random
import statistics

import pytest

from metaqore.hmcp.watch import drifted, least_proof, proven

ALPHA, DELTA, ARL = 0.05, 0.10, 20_000


def life(rng: random.Random, rate: float, length: int) -> list[bool]:
    return [rng.random() < rate for _ in range(length)]


def first_alarm(errors: list[bool]) -> int | None:
    """The task at which drift is first seen, by bisection: an alarm stays one."""
    if not drifted(errors, ALPHA, ARL).passed:
        return None
    low, high = 1, len(errors)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if drifted(errors[:middle], ALPHA, ARL).passed else (middle + 1, high)
    return low


def test_a_specialist_that_keeps_to_its_certificate_is_left_alone() -> None:
    rng = random.Random(1)

    alarms = sum(drifted(life(rng, 0.02, 2000), ALPHA, ARL).passed for _ in range(30))

    assert alarms == 0


def test_a_false_alarm_at_the_limit_is_as_rare_as_promised() -> None:
    rng = random.Random(2)

    alarms = sum(drifted(life(rng, ALPHA, 2000), ALPHA, ARL).passed for _ in range(30))

    # 60,000 tasks: at most three on average.
    assert alarms <= 9


def test_a_jump_of_the_error_is_seen_within_a_hundred_audited_tasks() -> None:
    rng = random.Random(3)
    delays = [first_alarm(life(rng, 0.02, 300) + life(rng, 0.20, 700)) for _ in range(20)]

    seen = [delay - 300 for delay in delays if delay is not None]
    assert len(seen) == len(delays)
    assert statistics.median(seen) <= 100


def test_drift_is_seen_after_any_number_of_good_days() -> None:
    rng = random.Random(4)
    errors = life(rng, 0.0, 4000) + life(rng, 0.5, 60)

    assert drifted(errors, ALPHA, ARL).passed


def test_a_proof_is_seldom_given_to_who_errs_too_often() -> None:
    rng = random.Random(5)

    given = sum(proven(life(rng, ALPHA, 1000), ALPHA, DELTA).passed for _ in range(120))

    # At most 12 on average, looked at after every single task; three standard deviations more.
    assert given <= 12 + 10


def test_a_good_specialist_is_proven_soon() -> None:
    rng = random.Random(6)

    given = sum(proven(life(rng, 0.005, 300), ALPHA, DELTA).passed for _ in range(50))

    assert given >= 48


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_nobody_is_proven_with_fewer_tasks_than_the_least(alpha: float) -> None:
    least = least_proof(alpha, DELTA)

    assert proven([False] * least, alpha, DELTA).passed
    assert not proven([False] * (least - 1), alpha, DELTA).passed
    assert not proven([False] * (least - 1) + [True], alpha, DELTA).passed


def test_without_a_task_nothing_is_seen_and_nothing_is_proven() -> None:
    assert not drifted([], ALPHA, ARL).passed
    assert not proven([], ALPHA, DELTA).passed
