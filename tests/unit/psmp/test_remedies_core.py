"""The minimal core of what blocks a declaration."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaqore.psmp import reports
from metaqore.psmp.minimal_core import MAX_CAUSES, Cause, Core, causes_of, minimal_core
from metaqore.psmp.proposals import Proposal
from metaqore.psmp.reports import Trial

NAMES = [f"/depends_on/{n}" for n in range(7)]
#: Each set of causes is one obstacle: it is there as long as all of its causes are.
obstacles = st.lists(st.frozensets(st.sampled_from(NAMES), min_size=1, max_size=3), max_size=8)


def core_of(obstacles: Sequence[frozenset[str]], pointers: Sequence[str] = NAMES) -> tuple[Core, int]:
    """Return the core, and how often it was decided."""
    decided = 0

    def admitted_without(causes: Sequence[Cause]) -> bool:
        nonlocal decided
        decided += 1
        left = set(pointers) - {cause.pointer for cause in causes}
        return not any(obstacle <= left for obstacle in obstacles)

    return minimal_core([Cause(pointer, ()) for pointer in pointers], admitted_without), decided


@given(obstacles)
def test_without_the_core_it_is_admitted_and_with_any_one_of_it_left_it_is_not(found: list[frozenset[str]]) -> None:
    core, decided = core_of(found)
    gone = {cause.pointer for cause in core.causes}
    assert core.minimal
    assert decided <= 1 + len(NAMES) ** 2
    assert all(obstacle & gone for obstacle in found) or len(gone) == 1
    if len(gone) > 1:
        for pointer in gone:
            assert any(not obstacle & (gone - {pointer}) for obstacle in found), pointer


def test_of_two_that_exclude_each_other_one_goes() -> None:
    core, _ = core_of([frozenset(NAMES[:2])], NAMES[:2])
    assert len(core.causes) == 1


def test_where_each_blocks_by_itself_all_are_the_core() -> None:
    core, decided = core_of([frozenset([name]) for name in NAMES])
    assert [cause.pointer for cause in core.causes] == NAMES
    assert decided == 1 + len(NAMES)


def test_too_many_causes_are_told_as_they_are() -> None:
    many = [f"/claims/{n}" for n in range(MAX_CAUSES + 1)]
    core, decided = core_of([frozenset(many[:1])], many)
    assert (len(core.causes), core.minimal, decided) == (len(many), False, 0)


def test_a_block_that_no_cause_explains_is_told_as_such() -> None:
    core, _ = core_of([frozenset()])
    assert not core.minimal


def test_conflicts_are_grouped_by_the_part_of_the_declaration_they_point_at() -> None:
    conflicts = [
        {"id": "1", "evidence": {"pointer": "/depends_on/2"}},
        {"id": "2", "evidence": {"pointer": "/depends_on/2/version"}},
        {"id": "3", "evidence": {"pointer": "/content/a/3/b"}}, {"id": "4", "evidence": {"pointer": "/base_version"}},
    ]  # fmt: skip
    grouped = {cause.pointer: [conflict["id"] for conflict in cause.conflicts] for cause in causes_of(conflicts)}
    assert grouped == {"/depends_on/2": ["1", "2"], "/content/a/3/b": ["3"], "/base_version": ["4"]}


def test_what_is_tried_for_a_report_is_measured_in_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine, on which everything takes longer, makes no report poorer."""
    now = {"work": 10.0, "wall": 1000.0}
    monkeypatch.setattr(
        reports, "time", SimpleNamespace(thread_time=lambda: now["work"], monotonic=lambda: now["wall"])
    )
    proposal = Proposal(id="prop_1", organization="o", project="p", type="doc", name="x", state="blocked", author="ann",
                        request="req_1", payload={}, conflicts=(), approval=None)  # fmt: skip
    reads: Any = None
    trial = Trial(reads, dict[str, Any]().__getitem__, proposal, 0, until=1002.0, work_s=0.5)

    found = []
    for now["work"], now["wall"] in ((10.0, 1001.5), (10.6, 1001.5), (10.0, 1003.0)):
        found.append(trial.exhausted)

    assert found == [False, True, True]
