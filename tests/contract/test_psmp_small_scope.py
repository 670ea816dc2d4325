"""Every order in which three agents of three steps can meet, on the real engine; and faults in it that must be found.

In the normal run, orders that lead to the same state are followed once, and one of twenty orders is decided in one run;
with ``METAQORE_TEST_LONG=1`` every order is gone through by itself.
"""

from __future__ import annotations

import os

import pytest

from tests.psmp_mutants import MUTANTS, Mutant
from tests.psmp_scope import NARROWING, PACKAGE, RUNS, SCENARIOS, Explorer, Scenario, in_one_run
from tests.psmp_spec import Declare, Move, Spec
from tests.psmp_world import World, told_of

LONG = bool(os.environ.get("METAQORE_TEST_LONG"))
#: 9! / (3! 3! 3!)
ORDERS = 1680
EVERY = 1 if LONG else 20


def names(scenario: Scenario) -> str:
    return scenario.name


@pytest.mark.parametrize("scenario", SCENARIOS, ids=names)
def test_in_every_order_the_engine_does_what_is_promised(scenario: Scenario) -> None:
    explored = Explorer(scenario, merging=not LONG).run()

    assert explored.orders == ORDERS
    assert explored.decisions >= 100


def test_in_every_order_no_requirement_contradicts_another() -> None:
    assert Explorer(PACKAGE).run().orders == 30


def test_in_every_order_what_is_narrowed_is_what_all_others_accept() -> None:
    assert Explorer(NARROWING).run().orders == 90


@pytest.mark.parametrize("scenario", RUNS, ids=names)
def test_what_is_decided_in_one_run_is_decided_as_one_by_one(scenario: Scenario) -> None:
    assert in_one_run(scenario, EVERY).orders == ORDERS // EVERY


def found(mutant: Mutant) -> tuple[int, str]:
    """Return after how many decisions a fault was found, and how; -1 where it was not."""
    scenario = next(each for each in (*SCENARIOS, PACKAGE, NARROWING, *RUNS) if each.name == mutant.seen_by)
    explorer = Explorer(scenario, most=2000)
    with mutant.fault():
        try:
            in_one_run(scenario, EVERY) if scenario in RUNS else explorer.run()
        except Exception as error:
            lines = str(error).strip().splitlines()
            return explorer.decisions, lines[-1][:150] if lines else type(error).__name__
    return -1, "not found"


def test_each_fault_in_the_engine_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(mutant, *found(mutant)) for mutant in MUTANTS]

    with capsys.disabled():
        print(f"\n{'fault':50} {'decisions':>9}  found by")
        for mutant, after, how in rows:
            print(f"{mutant.name:50} {after if after else 'one run':>9}  {mutant.seen_by}: {how[:90]}")
    assert not [mutant.name for mutant, after, _ in rows if after < 0]
    # The faults are gone again.
    assert Explorer(SCENARIOS[3]).run().orders == ORDERS


def test_what_is_active_again_holds_its_claims_again() -> None:
    spec, world = Spec("playground"), World("playground")
    steps = (
        Declare("ann", "x", {"a": 1}, claims=("src/*.py",)), Move("ann", "x", "deprecated"), Move("ann", "x", "active"),
        Declare("bob", "y", {"a": 2}, claims=("src/a.py",)),
    )  # fmt: skip

    told = [(told_of(world.ask(op)), spec.apply(op)) for op in steps]
    world.check(spec)
    world.close()

    assert all(was == should for was, should in told), told
    assert told[-1][0].classes == ("claim_collision",)
