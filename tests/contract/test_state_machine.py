"""Random lives of a pipeline against a simple model of it, checked after every step.

The model knows for each request: its place in the order, its state, its attempts, and when it may be claimed. Every
rule says what must happen to it; after every rule the database must agree, and the invariants of the whole must hold.
``PIPELINE_EXAMPLES`` sets how many lives are tried (default 100 on SQLite, a quarter of it on PostgreSQL).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from metaqore import failpoints
from metaqore.errors import Conflict
from metaqore.messages import EventNote, Outcome, Request, Verdict
from metaqore.requests import long_work
from metaqore.requests.model import Idempotency, IdempotencyMismatch
from metaqore.requests.schedules import Schedules
from metaqore.requests.sweep import bury, sweep
from metaqore.store.tables import metadata
from tests.contract.pipeline import Pipeline

EXAMPLES = int(os.environ.get("PIPELINE_EXAMPLES", "100"))
TERMINAL = ("succeeded", "failed", "cancelled", "dead")
LEASE_MS = 30_000
LONG_WORK_BREAKS = ["worker.before_claim", "worker.after_claim", "worker.mid_work", "worker.before_finish_tx"]
pick = st.integers(0, 10**6)


@dataclass
class Known:
    """What the model knows of a request."""

    id: str
    queue: str
    project: str | None
    #: How many attempts fail, and how: "retry" goes back, "bad" fails for good.
    times: int = 0
    how: str = "retry"
    state: str = "accepted"
    attempt: int = 0
    fence: int = 0
    available_at: int = 0
    lease_until: int = 0

    @property
    def is_open(self) -> bool:
        return self.state not in TERMINAL

    def is_due(self, now: int) -> bool:
        free = self.state == "accepted" or (self.state == "running" and self.lease_until <= now)
        return free and self.available_at <= now

    def claim(self, now: int) -> None:
        self.state, self.lease_until = "running", now + LEASE_MS
        self.attempt += 1
        self.fence += 1

    def end(self, state: str) -> None:
        self.state = state


@dataclass
class Model:
    """All requests in the order of their acceptance."""

    limit: int
    requests: list[Known] = field(default_factory=list)

    def claimable(self, queue: str, now: int) -> list[Known]:
        blocked: set[str] = set()
        ready = []
        for one in self.requests:
            if one.queue != queue or not one.is_open or one.project in blocked:
                continue
            if one.is_due(now):
                ready.append(one)
            elif one.project is not None:
                blocked.add(one.project)
        return ready

    def settle(self, one: Known, *, fails: bool) -> None:
        """What an attempt that is already counted leads to."""
        if not fails:
            one.end("succeeded")
        elif one.how == "bad":
            one.end("failed")
        elif one.attempt < self.limit:
            one.state = "accepted"
        else:
            one.end("dead")

    def drain(self, now: int, *, careful: bool = False) -> int:
        decided = 0
        blocked: set[str] = set()
        for one in self.claimable("psmp", now):
            if one.project in blocked:
                continue
            # A careful drain has counted the attempt when the handler sees it.
            seen = one.attempt + 1 if careful else one.attempt
            one.attempt += 1
            one.fence += 1
            if careful and one.attempt > self.limit:
                one.end("dead")
                continue
            decided += 1
            self.settle(one, fails=seen < one.times)
            if one.is_open and one.project is not None:
                blocked.add(one.project)
        return decided


class Life(RuleBasedStateMachine):
    """One random life."""

    pipeline: Pipeline

    @initialize()
    def begin(self) -> None:
        p = self.pipeline
        with p.database.write() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.exec_driver_sql(f"DELETE FROM {table.name}")
        self.model = Model(p.limits.max_attempts)
        self.keys: dict[str, tuple[str, list[str]]] = {}
        self.claims: list[list[Request]] = []
        self.fires = 0
        self.controls = 0
        p.long.performed.clear()
        p.long.during = lambda request: None
        self.projects = [p.project("playground", "a"), p.project("adaptive", "b")]
        self.controls = 2

    # --- accepting ----------------------------------------------------------------------------------------------

    def _know(self, request: str, queue: str, project: str | None, times: int = 0, how: str = "retry") -> None:
        self.model.requests.append(Known(request, queue, project, times, how, available_at=self.pipeline.clock()))

    @rule(
        asked=st.lists(
            st.tuples(
                st.sampled_from([0, 0, 1, None]), st.sampled_from([0, 1, 2, 9]), st.sampled_from(["retry", "bad"])
            ),
            min_size=1, max_size=8,
        )
    )  # fmt: skip
    def submit(self, asked: list[tuple[int | None, int, str]]) -> None:
        p = self.pipeline
        items = []
        for project, times, how in asked:
            where = None if project is None else self.projects[project]
            kind = "test.free" if where is None else "test.scripted"
            items.append(p.submission(kind, where, times=times, how=how))
        for request, item, (_, times, how) in zip(p.intake.submit(items).ids, items, asked, strict=True):
            self._know(request, "psmp", item.project, times, how)

    @rule(asked=st.lists(st.sampled_from([0, 0, 1, 9]), min_size=1, max_size=6))
    def submit_long(self, asked: list[int]) -> None:
        p = self.pipeline
        ids = p.intake.submit([p.submission("test.long", None, how="retry", times=times) for times in asked]).ids
        for request, times in zip(ids, asked, strict=True):
            self._know(request, "llm", None, times)

    @rule(
        project=st.sampled_from([0, 1]), name=st.sampled_from("xyz"), base=st.integers(0, 3),
        depends_on=st.lists(st.sampled_from("xyz"), max_size=2, unique=True), by=st.sampled_from(["ann", "bob"]),
    )  # fmt: skip
    def declare(self, project: int, name: str, base: int, depends_on: list[str], by: str) -> None:
        where = self.projects[project]
        request = self.pipeline.declare(
            where, name, {"n": len(self.model.requests)}, principal=by, base_version=base,
            depends_on=[{"type": "doc", "name": d} for d in depends_on],
        )  # fmt: skip
        self._know(request, "psmp", where)

    @rule(key=st.sampled_from("kl"), body=st.sampled_from(["1", "1", "2"]), n=st.integers(1, 3), other=st.booleans())
    def submit_with_a_key(self, key: str, body: str, n: int, other: bool) -> None:
        p = self.pipeline
        items = [p.submission("test.scripted", self.projects[0], item=i, times=0) for i in range(n)]
        intake = p.another_intake() if other else p.intake
        idempotency = Idempotency("POST /test", key, f"sha256:{body}:{n}")
        if key in self.keys and self.keys[key][0] != idempotency.fingerprint:
            with pytest.raises(IdempotencyMismatch):
                intake.submit(items, idempotency)
            return
        receipt = intake.submit(items, idempotency)
        if key in self.keys:
            assert (receipt.ids, receipt.replayed) == (self.keys[key][1], True)
            return
        assert not receipt.replayed
        self.keys[key] = (idempotency.fingerprint, receipt.ids)
        for request in receipt.ids:
            self._know(request, "psmp", self.projects[0])

    @rule(place=st.sampled_from(["before_tx", "after_insert", "before_commit", "after_commit"]))
    def submit_and_break(self, place: str) -> None:
        with self._failpoint(f"submit.{place}"):
            if place != "after_commit":
                with pytest.raises(failpoints.FailpointError):
                    self.pipeline.submit("test.scripted", self.projects[0])
                return
            request = self.pipeline.submit("test.scripted", self.projects[0], times=0)
        self._know(request, "psmp", self.projects[0])

    # --- deciding -----------------------------------------------------------------------------------------------

    @contextmanager
    def _failpoint(self, place: str) -> Iterator[None]:
        before = failpoints._active
        failpoints._active = failpoints._parse(f"{place}:raise")
        try:
            yield
        finally:
            failpoints._active = before

    @rule(carefully=st.booleans())
    def drain(self, carefully: bool) -> None:
        executor = self.pipeline.executor
        expected = self.model.drain(self.pipeline.clock(), careful=carefully)
        assert (executor.drain_carefully if carefully else executor.drain)("psmp") == expected
        if not carefully:
            assert executor.drain("psmp") == 0

    @rule(place=st.sampled_from(["before_claim", "mid_work", "in_finish_tx", "after_finish_commit"]))
    def drain_and_break(self, place: str) -> None:
        if not self.model.claimable("psmp", self.pipeline.clock()):
            return
        if place == "after_finish_commit":
            self.model.drain(self.pipeline.clock())
        with self._failpoint(f"worker.{place}"), pytest.raises(failpoints.FailpointError):
            self.pipeline.executor.drain("psmp")

    @rule(place=st.sampled_from(["before_claim", "mid_work", "in_finish_tx"]))
    def drain_carefully_and_break(self, place: str) -> None:
        now = self.pipeline.clock()
        ready = self.model.claimable("psmp", now)
        worn = 0
        while worn < len(ready) and ready[worn].attempt >= self.model.limit:
            worn += 1
        if worn == len(ready) or (worn and place == "in_finish_tx"):
            return
        for one in ready[:worn]:
            one.claim(now)
            one.end("dead")
        ready[worn].claim(now)
        with self._failpoint(f"worker.{place}"), pytest.raises(failpoints.FailpointError):
            self.pipeline.executor.drain_carefully("psmp")

    @rule(loses_it=st.booleans())
    def claim(self, loses_it: bool) -> None:
        now = self.pipeline.clock()
        batch = self.pipeline.executor.peek("psmp", self.pipeline.catalogue.pure("psmp"), 1)
        ready = self.model.claimable("psmp", now)
        assert [r.id for r in batch] == [one.id for one in ready[:1]]
        mine = self.pipeline.executor.lease(batch, 30)
        for one in ready[:1]:
            one.claim(now)
            self.claims.append(mine)
            if loses_it:
                self.pipeline.clock.advance(31)

    @precondition(lambda self: self.claims)
    @rule(which=pick, fails=st.booleans())
    def finish_a_claim(self, which: int, fails: bool) -> None:
        """Also what was claimed by somebody else since, or settled, or cancelled: a zombie's claim."""
        mine = self.claims[which % len(self.claims)]
        one = next(known for known in self.model.requests if known.id == mine[0].id)
        valid = one.state == "running" and one.fence == mine[0].fence
        if fails:
            outcome = Outcome(error={"code": "scripted", "message": "no"}, retryable=one.how == "retry")
        else:
            outcome = Outcome(verdict=Verdict.APPROVED, events=[EventNote("test.done", one.id, {})])
        assert self.pipeline.executor.finish(mine, [outcome], leased=True) == int(valid)
        if valid:
            self.model.settle(one, fails=fails)

    @rule(
        crash=st.sampled_from(
            [None, "worker.before_claim", "worker.after_claim", "worker.mid_work", "worker.before_finish_tx"]
        )
    )
    def work_long(self, crash: str | None) -> None:
        p, now = self.pipeline, self.pipeline.clock()
        ready = self.model.claimable("llm", now)
        if crash is None:
            for one in ready:
                worn = one.attempt >= self.model.limit
                one.claim(now)
                if worn:
                    one.end("dead")
                else:
                    self.model.settle(one, fails=one.attempt <= one.times)
            assert long_work.drain(p.executor, "llm") == len(ready)
            return
        if not any(one.attempt < self.model.limit for one in ready[:4]):
            return
        with self._failpoint(crash), pytest.raises(failpoints.FailpointError):
            long_work.drain(p.executor, "llm")
        if crash != "worker.before_claim":
            for one in ready[:4]:
                worn = one.attempt >= self.model.limit
                one.claim(now)
                if worn:
                    one.end("dead")

    # --- what else may happen -----------------------------------------------------------------------------------

    @precondition(lambda self: self.model.requests)
    @rule(which=pick)
    def cancel(self, which: int) -> None:
        one = self.model.requests[which % len(self.model.requests)]
        asked = self.pipeline.submission("request.cancel", None, request=one.id)
        if one.is_open:
            self.pipeline.executor.run_now(asked)
            one.end("cancelled")
            one.fence += 1
            self.controls += 1
        else:
            with pytest.raises(Conflict):
                self.pipeline.executor.run_now(asked)

    @rule(what=st.sampled_from(["sweep", "bury", "fire", "lose redis"]))
    def keep_house(self, what: str) -> None:
        p, now = self.pipeline, self.pipeline.clock()
        if what == "sweep":
            due: dict[str, int] = {}
            for one in self.model.requests:
                if one.is_open and one.is_due(now):
                    due[one.queue] = due.get(one.queue, 0) + 1
            assert dict(sweep(p.executor, p.bell, now=now)) == due
        elif what == "bury":
            ended = [one for one in self.model.requests if one.state == "running" and one.lease_until <= now]
            worn = [one for one in ended if one.attempt >= self.model.limit]
            assert bury(p.executor, now=now) == len(worn)
            for one in worn:
                one.end("dead")
        elif what == "fire":
            self.fires += Schedules(p.executor, p.intake, p.bell, idempotency_days=7).fire("purge", 60.0)
            assert p.sql("SELECT count(*) FROM schedule_fires")[0][0] == self.fires
        else:
            p.bell.rung.clear()
            p.results.published.clear()

    @rule(seconds=st.sampled_from([1, 5, 31]))
    def advance(self, seconds: float) -> None:
        self.pipeline.clock.advance(seconds)

    # --- what must hold -----------------------------------------------------------------------------------------

    @invariant()
    def the_database_agrees_with_the_model(self) -> None:
        rows = {
            row[0]: row[1:] for row in self.pipeline.sql("SELECT id, state, attempt, available_at, fence FROM requests")
        }
        assert len(rows) == len(self.model.requests) + self.controls
        for one in self.model.requests:
            state, attempt, available_at, fence = rows[one.id]
            assert (state, attempt, fence) == (one.state, one.attempt, one.fence), one
            # When it may be tried again has jitter, so the model learns it.
            one.available_at = available_at

    @invariant()
    def each_request_has_its_effect_once(self) -> None:
        p = self.pipeline
        effects = [r[0] for r in p.sql("SELECT request_id FROM events WHERE type = 'test.done'")]
        versions = [r[0] for r in p.sql("SELECT request_id FROM artifact_versions")]
        proposals = [r[0] for r in p.sql("SELECT request_id FROM proposals")]
        everything = sorted(effects + versions + proposals)
        assert everything == sorted(one.id for one in self.model.requests if one.state == "succeeded")

    @invariant()
    def every_request_is_in_the_audit_log_and_numbers_have_no_gap(self) -> None:
        audited = {row[0] for row in self.pipeline.sql("SELECT request_id FROM audit_entries")}
        assert audited >= {one.id for one in self.model.requests}
        self.pipeline.check_sequences()

    @invariant()
    def artifacts_are_whole(self) -> None:
        self.pipeline.check_versions()
        self.pipeline.check_ranks()

    @invariant()
    def each_project_is_decided_in_order(self) -> None:
        ended = ("decided", "failed", "dead", "admitted", "merged", "blocked")
        rows = self.pipeline.sql("SELECT request_id, tag FROM audit_entries ORDER BY seq")
        decided = [request for request, tag in rows if tag.rpartition(":")[2] in ended]
        place = {one.id: n for n, one in enumerate(self.model.requests)}
        for project in self.projects if self.model.requests else []:
            mine = {one.id for one in self.model.requests if one.project == project}
            order = [place[request] for request in decided if request in mine]
            assert order == sorted(order)


@pytest.mark.timeout(900)
def test_a_random_life_of_the_pipeline_keeps_every_promise(pipeline: Pipeline) -> None:
    bound: Any = type("BoundLife", (Life,), {"pipeline": pipeline})
    run_state_machine_as_test(
        bound,
        settings=settings(
            max_examples=EXAMPLES if pipeline.database.is_sqlite else max(1, EXAMPLES // 4),
            stateful_step_count=50, suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
