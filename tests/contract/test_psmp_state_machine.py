"""Hypothesis lives through random projects, through intake and executor, and compares each step with ``psmp_spec``.

What is asked may be submitted alone or several at once, so that one run decides them. After each step: verdict and
conflicts, versions gapless with the head the last of them, edges without cycles (each rank above those below it),
positions gapless, blocked proposals with open conflicts and no others; and every earlier position is seen as it was.
``METAQORE_TEST_LONG=1`` lives longer, and another life each time.
"""

from __future__ import annotations

import json
import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from metaqore.messages import Submission
from metaqore.store.views.psmp_time import TimeViews
from tests.contract.pipeline import ORGANIZATION, Pipeline
from tests.psmp_spec import (
    Alias,
    Art,
    Declare,
    Delete,
    Move,
    Op,
    Resolve,
    Restore,
    SetMode,
    Spec,
    Told,
    Withdraw,
)
from tests.psmp_world import KIND, check_stored, payload_of

LONG = bool(os.environ.get("METAQORE_TEST_LONG"))
EXAMPLES = 400 if LONG else 16
STEPS = 40 if LONG else 16
NAMES = st.sampled_from(["x", "y", "z", "w"])
AGENTS = st.sampled_from(["ann", "bob", "cat"])
WORKS = st.sampled_from(["Parse the configuration", "Write the report of it"])
ANY: dict[str, Any] = {"type": None, "name": None, "state": None, "after": None, "limit": 50}


class Projects(RuleBasedStateMachine):
    """One project, from its creation on."""

    pipeline: Pipeline

    @initialize(mode=st.sampled_from(["strict", "strict", "adaptive", "playground"]), labelled=st.booleans())
    def begin(self, mode: Any, labelled: bool) -> None:
        self.spec, self.project = Spec(mode), self.pipeline.project(mode)
        # What a label has risen to is not restored: the two are tried apart.
        self.labelled = labelled
        self.ids: dict[str, str] = {}
        self.proposals: list[tuple[str, str]] = []
        self.checkpoints: dict[str, int] = {}
        self.views = TimeViews(self.pipeline.database)

    # --- what agents do ----------------------------------------------------------------------------------------------

    @rule(data=st.data(), how_many=st.sampled_from([1, 1, 1, 2, 3, 5]))
    def declare(self, data: st.DataObject, how_many: int) -> None:
        ahead = self.spec.copy()
        asked: list[Declare] = []
        for _ in range(how_many):
            asked.append(self._declaration(data, ahead))
            ahead.apply(asked[-1])
        self._do(*asked)

    def _declaration(self, data: st.DataObject, spec: Spec) -> Declare:
        """Return a declaration as an agent might make it that has seen ``spec``, or something older."""
        draw, name = data.draw, data.draw(NAMES)
        art = spec.arts.get(name)
        there = len(art.versions) if art is not None else 0
        base = draw(st.sampled_from([there, there, there, max(0, there - 1), max(0, there - 2), 0, there + 1]))
        start: Any = art.versions[base - 1].content if art is not None and 0 < base <= there else {}
        content = {"a": 0, "b": 0, "c": 0, **start, draw(st.sampled_from("abc")): draw(st.integers(0, 3))}
        if draw(st.integers(0, 7)) == 0:
            content = {"text": draw(WORKS)}
        some: Any = st.lists(NAMES, max_size=2, unique=True)
        deps = tuple((dep, draw(st.sampled_from([None, None, None, 1, 2]))) for dep in draw(some))
        reads = tuple((read, draw(st.integers(1, 2))) for read in draw(st.one_of(st.just([]), st.just([]), some)))
        claims = draw(st.sampled_from([(), (), (), ("src/*.py",), ("src/a.py", "docs/**"), ("**/a.py",), ("src/**",)]))
        label = draw(st.sampled_from([None, None, "PUBLIC", "SENSITIVE"])) if self.labelled else None
        needs = draw(st.sampled_from([None, None, None, ">=2", "<2", "<4,>=1", "==3"]))
        return Declare(draw(AGENTS), name, content, base, deps, reads, claims, label, needs)

    @rule(by=AGENTS, name=NAMES, to=st.sampled_from(["active", "deprecated", "quarantined", "proposed", "deleted"]))
    def move(self, by: str, name: str, to: str) -> None:
        self._do(Move(by, name, to))

    @rule(by=AGENTS, name=NAMES, how=st.sampled_from([None, None, "cascade", "deprecate"]))
    def delete(self, by: str, name: str, how: str | None) -> None:
        self._do(Delete(by, name, how))

    @rule(by=AGENTS, name=NAMES, alias=st.sampled_from(["stable", "beta"]), version=st.sampled_from([1, 2, 3, None]))
    def alias(self, by: str, name: str, alias: str, version: int | None) -> None:
        self._do(Alias(by, name, alias, version))

    @precondition(lambda self: self.spec.proposals)
    @rule(by=AGENTS, data=st.data(), how=st.sampled_from(["retry", "merge", "override", "withdraw"]))
    def resolve(self, by: str, data: st.DataObject, how: str) -> None:
        which = data.draw(st.integers(0, len(self.spec.proposals) - 1))
        self._do(Withdraw(by, which) if how == "withdraw" else Resolve(by, which, how))

    @rule(mode=st.sampled_from(["strict", "adaptive", "playground"]))
    def set_mode(self, mode: Any) -> None:
        self.spec.apply(SetMode("agent", mode))
        self.pipeline.executor.run_now(self.pipeline.submission("project.save", None, id=self.project, mode=mode))
        self._check()

    @rule()
    def checkpoint(self) -> None:
        name = f"c{len(self.checkpoints)}"
        asked = self.pipeline.submission("checkpoint.create", self.project, name=name)
        assert self.pipeline.executor.run_now(asked).result["position"] == self.spec.position
        self.checkpoints[name] = self.spec.position

    @precondition(lambda self: not self.labelled)
    @rule(by=AGENTS, data=st.data())
    def restore(self, by: str, data: st.DataObject) -> None:
        to = data.draw(st.sampled_from([*self.checkpoints, *range(1, self.spec.position + 1)]))
        self._do(Restore(by, self.checkpoints.get(to, to)), to=str(to))

    # --- and what comes of it ----------------------------------------------------------------------------------------

    def _do(self, *ops: Op, **more: Any) -> None:
        """Submit operations at once, have them decided, and compare each answer and all that is stored."""
        asked = [
            Submission(organization=ORGANIZATION, project=self.project, principal=op.by, kind=KIND[type(op)],
                       payload={**payload_of(op, self.ids, self.proposals), **more})
            for op in ops
        ]  # fmt: skip
        requests = self.pipeline.intake.submit(asked).ids
        self.pipeline.executor.drain("psmp")
        for op, request in zip(ops, requests, strict=True):
            promised, told = self.spec.apply(op), self._told(op, request)
            assert told == promised, op
        self._check()

    def _told(self, op: Op, request: str) -> Told:
        row = self.pipeline.row(request)
        if row["state"] != "succeeded":
            assert row["state"] == "failed", row
            return Told("failed", error=json.loads(row["error"])["code"])
        result = json.loads(row["result"])
        if isinstance(op, Declare) and row["verdict"] == "approved":
            self.ids[op.name] = result["artifact"]["id"]
        report = result.get("blocking_report", result)
        if isinstance(op, Declare) and report.get("proposal"):
            self.proposals.append((report["proposal"], report["conflicts"][0]["id"]))
        if isinstance(op, Resolve | Restore) and row["verdict"] == "approved":
            return Told("approved")
        return Told(row["verdict"], tuple(sorted(conflict["class"] for conflict in report.get("conflicts", ()))))

    def _check(self) -> None:
        check_stored(self.pipeline.sql, self.project, self.spec)
        self._look_back(max(0, self.spec.position - 3))

    def _look_back(self, first: int) -> None:
        """Fail unless every position from ``first`` on is seen as it was."""
        for position in range(first, self.spec.position + 1):
            then = self.views.at(position)
            seen = {row["name"]: row for row in then.artifacts(ORGANIZATION, self.project, **ANY).items}
            past = self.spec.past[position]
            assert seen.keys() == past.keys(), position
            for name, row in seen.items():
                self._compare(then, position, row, past[name])

    def _compare(self, then: Any, position: int, row: Any, art: Art) -> None:
        told = (row["version"], row["state"], row["label"])
        assert told == (len(art.versions), art.state, art.head.label), (position, row["name"])
        if position == self.spec.position - 1:
            assert then.artifact(ORGANIZATION, row["id"])["content"] == art.head.content, (position, row["name"])

    def teardown(self) -> None:
        if hasattr(self, "views"):
            self._look_back(0)


def test_a_random_life_of_a_project_keeps_every_promise(pipeline: Pipeline) -> None:
    bound: Any = type("BoundProjects", (Projects,), {"pipeline": pipeline})
    run_state_machine_as_test(
        bound,
        settings=settings(
            max_examples=EXAMPLES if pipeline.database.is_sqlite else max(1, EXAMPLES // 2),
            stateful_step_count=STEPS, derandomize=not LONG, suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
