"""The merge queue of a project: what fits goes in together, in one commit; of what does not, the first wins."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metaqore.messages import Submission
from metaqore.requests.executor import Executor
from metaqore.store.unit_of_work import SqlStore, SqlTransaction
from tests.contract.pipeline import ORGANIZATION, Pipeline, together
from tests.contract.test_psmp_agents import heads
from tests.contract.test_psmp_modes import declared
from tests.contract.test_psmp_remedies import acts, asked_by


class CountingStore(SqlStore):
    """Counts the write transactions that decided something."""

    commits = 0

    @contextlib.contextmanager
    def write(self, meanwhile: Callable[[], None] | None = None) -> Iterator[SqlTransaction]:
        """One write transaction."""
        with super().write(meanwhile) as tx:
            yield tx
        self.commits += 1


def counting(pipeline: Pipeline) -> tuple[Executor, CountingStore]:
    executor, store = pipeline.another_executor("counting"), CountingStore(pipeline.database)
    executor.store = store
    return executor, store


def answers(pipeline: Pipeline, ids: list[str]) -> list[tuple[str, Any]]:
    """Return (verdict, classes of the conflicts) of each."""
    found = []
    for request in ids:
        row = pipeline.row(request)
        assert row["state"] == "succeeded", row
        rows = pipeline.sql("SELECT class FROM conflicts WHERE request_id = ? ORDER BY class", request)
        found.append((row["verdict"], [each[0] for each in rows]))
    return found


def test_what_fits_together_goes_in_with_one_commit(pipeline: Pipeline) -> None:
    project = pipeline.project("adaptive")
    lines = [f"{n}\n\n" for n in range(16)]
    asked = [declared(project, "x", "".join(lines))]
    for n in range(16):
        changed = [*lines[:n], f"{n} by agent {n}\n\n", *lines[n + 1 :]]
        asked += [declared(project, "x", "".join(changed), 1, f"agent-{n}"), declared(project, f"y{n}", n)]
    executor, store = counting(pipeline)
    ids = pipeline.intake.submit(asked).ids

    assert executor.drain("psmp") == len(asked)

    assert store.commits == 1
    assert {verdict for verdict, _ in answers(pipeline, ids)} == {"approved"}
    assert heads(pipeline)[-1][0] == "".join(f"{n} by agent {n}\n\n" for n in range(16))


@pytest.mark.parametrize("mode", ["strict", "adaptive"])
def test_of_what_collides_the_first_wins_and_the_rest_goes_in_around_it(pipeline: Pipeline, mode: str) -> None:
    project = pipeline.project(mode)
    pipeline.intake.submit([declared(project, "x", {"a": 0})])
    pipeline.executor.drain("psmp")
    asked = []
    for n in range(12):
        asked += [declared(project, "x", {"a": n + 1}, 1, f"agent-{n}"), declared(project, f"y{n}", n, by=f"agent-{n}")]
    executor, store = counting(pipeline)
    ids = pipeline.intake.submit(asked).ids
    executor.drain("psmp")

    verdicts = [verdict for verdict, _ in answers(pipeline, ids)]
    assert verdicts == ["approved", "approved", *["blocked", "approved"] * 11]
    assert (store.commits, heads(pipeline)[-1][0]) == (1, {"a": 1})


@pytest.mark.parametrize("agents", [8, 64])
def test_whoever_decides_the_first_in_line_wins(pipeline: Pipeline, agents: int) -> None:
    """Several executors at once over one line: its order is that of acceptance, whoever gets hold of it."""
    project = pipeline.project("strict")
    pipeline.intake.submit([declared(project, "x", 0)])
    pipeline.executor.drain("psmp")
    ids = pipeline.intake.submit([declared(project, "x", n, 1, f"agent-{n}") for n in range(1, agents + 1)]).ids
    executors = [pipeline.another_executor(str(n)) for n in range(4)]

    assert all(isinstance(n, int) for n in together([lambda e=e: e.drain("psmp") for e in executors]))  # type: ignore[misc]
    pipeline.settle_all()

    assert [verdict for verdict, _ in answers(pipeline, ids)] == ["approved"] + ["blocked"] * (agents - 1)
    assert [content for content, _, _ in heads(pipeline)] == [0, 1]


def test_a_blocked_proposal_holds_nothing_up(pipeline: Pipeline) -> None:
    project = pipeline.project("strict")
    asked = [declared(project, "x", 1), declared(project, "x", 2, None, "bob"), declared(project, "x", 3, 1),
             declared(project, "y", 1, depends_on=["x"])]  # fmt: skip
    ids = pipeline.intake.submit(asked).ids
    pipeline.executor.drain("psmp")
    assert [verdict for verdict, _ in answers(pipeline, ids)] == ["approved", "blocked", "approved", "approved"]


def replayed(project: str, asked: Submission) -> Submission:
    return Submission(organization=ORGANIZATION, project=project, principal=asked.principal, kind=asked.kind,
                      payload=json.loads(json.dumps(dict(asked.payload))))  # fmt: skip


def test_together_or_one_by_one_the_verdicts_are_the_same(pipeline: Pipeline) -> None:
    """Of any world: each declaration of a commit sees what those before it in the same commit have done."""

    @settings(
        max_examples=25 if pipeline.database.is_sqlite else 6,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip
    @given(st.sampled_from(["strict", "adaptive", "playground"]), st.lists(acts, min_size=2, max_size=10))
    def check(mode: str, world: list[Any]) -> None:
        at_once, by_turns = pipeline.project(mode), pipeline.project(mode)
        ids = pipeline.intake.submit([asked_by(at_once, act) for act in world]).ids
        pipeline.executor.drain("psmp")
        turns = []
        for act in world:
            turns += pipeline.intake.submit([replayed(by_turns, asked_by(by_turns, act))]).ids
            pipeline.executor.drain("psmp")
        assert answers(pipeline, ids) == answers(pipeline, turns)

    check()
