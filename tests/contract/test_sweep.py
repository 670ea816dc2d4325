"""Whatever is accepted comes to an end: sweeping, burying, cancelling, firing once."""

from __future__ import annotations

from typing import Any

import pytest

from metaqore import failpoints
from metaqore.errors import Conflict, InvalidInput, MetaQoreError, NotFound
from metaqore.messages import Outcome, State, Submission, Verdict
from metaqore.requests.model import Ran
from metaqore.requests.schedules import Schedules
from metaqore.requests.sweep import bury, sweep
from metaqore.store.engine import Database
from tests.contract.pipeline import ORGANIZATION, Pipeline, together


def swept(pipeline: Pipeline) -> dict[str, int]:
    pipeline.bell.rung.clear()
    due = dict(sweep(pipeline.executor, pipeline.bell, now=pipeline.clock()))
    assert sorted(queue for queue, _ in pipeline.bell.rung) == sorted(due)
    return due


def lease(pipeline: Pipeline, n: int = 1) -> list[Any]:
    return pipeline.executor.lease(pipeline.executor.peek("psmp", ["test.scripted"], n), 30)


def cancel(pipeline: Pipeline, request: str, **changed: Any) -> Ran:
    asked = Submission(organization=changed.get("organization", ORGANIZATION), project=None, principal="ann",
                       kind="request.cancel", payload={"request": request})  # fmt: skip
    return pipeline.executor.run_now(asked)


def test_the_sweep_rings_for_what_could_be_claimed_now(pipeline: Pipeline) -> None:
    assert swept(pipeline) == {}
    pipeline.submit(project="a")
    pipeline.submit("test.long")
    pipeline.submit(project="b", how="retry", times=1)
    assert swept(pipeline) == {"psmp": 2, "llm": 1}
    pipeline.executor.drain("psmp")
    assert swept(pipeline) == {"llm": 1}
    pipeline.clock.advance(10)
    assert swept(pipeline) == {"psmp": 1, "llm": 1}


def test_the_sweep_rings_again_when_a_lease_has_ended(pipeline: Pipeline) -> None:
    pipeline.submit()
    lease(pipeline)
    pipeline.clock.advance(29)
    assert swept(pipeline) == {}
    pipeline.clock.advance(1)
    assert swept(pipeline) == {"psmp": 1}


def test_a_sweep_that_is_switched_off_rings_nothing(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.submit()
    monkeypatch.setattr(failpoints, "_active", failpoints._parse("sweep.off:skip"))
    assert swept(pipeline) == {}


def test_only_what_has_used_up_its_attempts_under_an_ended_lease_is_buried(pipeline: Pipeline) -> None:
    worn, fresh = pipeline.submit(project="a"), pipeline.submit(project="b")
    for _ in range(pipeline.limits.max_attempts):
        pipeline.clock.advance(31)
        lease(pipeline)
    assert bury(pipeline.executor, now=pipeline.clock()) == 0
    pipeline.clock.advance(30)
    assert bury(pipeline.executor, now=pipeline.clock()) == 1
    assert pipeline.states([worn, fresh]) == ["dead", "accepted"]
    assert pipeline.sql("SELECT request_id FROM events WHERE type = 'request.dead'") == [(worn,)]
    assert pipeline.results.published[-1].state is State.DEAD


def test_a_zombie_cannot_settle_what_was_buried(pipeline: Pipeline) -> None:
    request = pipeline.submit()
    for _ in range(pipeline.limits.max_attempts):
        zombie = lease(pipeline)
        pipeline.clock.advance(31)
    bury(pipeline.executor, now=pipeline.clock())
    assert pipeline.executor.finish(zombie, [Outcome(verdict=Verdict.APPROVED)], leased=True) == 0
    assert pipeline.states([request]) == ["dead"]


# --- cancelling -------------------------------------------------------------------------------------------------


def test_a_cancelled_request_is_never_decided(pipeline: Pipeline) -> None:
    request = pipeline.submit()
    assert cancel(pipeline, request).result["state"] == "cancelled"
    assert pipeline.executor.drain("psmp") == 0
    assert (pipeline.state(request), pipeline.effects(request)) == (State.CANCELLED, 0)
    tags = [row[0] for row in pipeline.sql("SELECT tag FROM audit_entries WHERE tag LIKE '%cancelled'")]
    assert len(tags) == 1
    assert pipeline.sql("SELECT subject FROM events WHERE type = 'request.cancelled'") == [(request,)]


def test_cancelling_stops_a_worker_that_has_claimed_it(pipeline: Pipeline) -> None:
    request = pipeline.submit()
    mine = lease(pipeline)
    cancel(pipeline, request)
    assert pipeline.executor.finish(mine, [Outcome(verdict=Verdict.APPROVED)], leased=True) == 0
    seen = pipeline.executor.peek("psmp", ["test.scripted"], 10)
    assert (seen, pipeline.states([request])) == ([], ["cancelled"])


def test_cancelling_between_looking_and_claiming_wins(pipeline: Pipeline) -> None:
    requests = [pipeline.submit(n=n) for n in range(3)]
    seen = pipeline.executor.peek("psmp", ["test.scripted"], 10)
    cancel(pipeline, requests[1])
    pipeline.executor._decide_or_split("psmp", seen, set())
    pipeline.settle_all()
    assert pipeline.states(requests) == ["succeeded", "cancelled", "succeeded"]


def test_what_waits_behind_a_cancelled_request_goes_on(pipeline: Pipeline) -> None:
    stuck, behind = pipeline.submit(how="retry", times=99), pipeline.submit()
    pipeline.executor.drain("psmp")
    cancel(pipeline, stuck)
    assert swept(pipeline) == {"psmp": 1}
    pipeline.executor.drain("psmp")
    assert pipeline.states([stuck, behind]) == ["cancelled", "succeeded"]


def test_what_has_ended_cannot_be_cancelled(pipeline: Pipeline) -> None:
    request = pipeline.submit()
    pipeline.executor.drain("psmp")
    with pytest.raises(Conflict):
        cancel(pipeline, request)
    other = pipeline.submit()
    cancel(pipeline, other)
    with pytest.raises(Conflict):
        cancel(pipeline, other)


def test_a_request_of_another_organization_cannot_be_cancelled(pipeline: Pipeline) -> None:
    request = pipeline.submit()
    for name, organization in ((request, "evil"), ("req_0", ORGANIZATION)):
        with pytest.raises(NotFound):
            cancel(pipeline, name, organization=organization)
    assert pipeline.states([request]) == ["accepted"]


def test_cancelling_and_deciding_at_once_end_in_one_of_the_two(pipeline: Pipeline) -> None:
    databases = [Database(pipeline.database.dsn) for _ in range(2)]
    cancelling, deciding = [Pipeline(database, pipeline.clock) for database in databases]
    outcomes = set()
    for n in range(25):
        request = pipeline.submit(project=f"p{n}")
        jobs = [lambda: deciding.executor.drain("psmp"), lambda r=request: cancel(cancelling, r)]  # type: ignore[misc]
        decided, cancelled = together(jobs if n % 2 else jobs[::-1])[:: 1 if n % 2 else -1]
        state = pipeline.state(request)
        outcomes.add(state)
        assert (state, decided) in ((State.SUCCEEDED, 1), (State.CANCELLED, 0))
        assert isinstance(cancelled, Ran if state is State.CANCELLED else Conflict), cancelled
        assert pipeline.effects(request) == (1 if state is State.SUCCEEDED else 0)
    assert outcomes <= {State.SUCCEEDED, State.CANCELLED}
    for database in databases:
        database.close()


# --- control-plane requests -------------------------------------------------------------------------------------


def test_a_control_request_that_is_refused_leaves_nothing(pipeline: Pipeline) -> None:
    with pytest.raises(InvalidInput):
        pipeline.executor.run_now(pipeline.submission("project.save", None, name="x", mode="nonsense"))
    assert pipeline.sql("SELECT count(*) FROM requests") == [(0,)]
    assert pipeline.sql("SELECT count(*) FROM audit_entries") == [(0,)]


def test_a_control_request_is_run_once_for_a_key_however_many_send_it(pipeline: Pipeline) -> None:
    from metaqore.requests.model import Idempotency, IdempotencyMismatch

    databases = [Database(pipeline.database.dsn) for _ in range(6)]
    executors = [Pipeline(database, pipeline.clock).executor for database in databases]
    key = Idempotency("POST /projects", "k", "sha256:1")
    jobs = [
        lambda e=e: e.run_now(pipeline.submission("project.save", None, name="x"), key)  # type: ignore[misc]
        for e in executors
    ]
    answers = together(jobs)
    assert all(isinstance(answer, Ran) for answer in answers), answers
    assert len({answer.result["id"] for answer in answers}) == 1
    assert sorted(answer.replayed for answer in answers) == [False] + [True] * 5
    other = Idempotency("POST /projects", "k", "sha256:2")
    with pytest.raises(IdempotencyMismatch):
        pipeline.executor.run_now(pipeline.submission("project.save", None, name="y"), other)
    for database in databases:
        database.close()


# --- schedules --------------------------------------------------------------------------------------------------


def schedules(pipeline: Pipeline) -> Schedules:
    return Schedules(pipeline.executor, pipeline.intake, pipeline.bell, idempotency_days=7)


def test_of_many_beats_one_fires(pipeline: Pipeline) -> None:
    databases = [Database(pipeline.database.dsn) for _ in range(6)]
    beats = [schedules(Pipeline(database, pipeline.clock)) for database in databases]
    for _ in range(5):
        answers = together([lambda b=b: b.fire("sweep", 5.0) for b in beats])  # type: ignore[misc]
        assert sorted(answers) == [False] * 5 + [True]
        pipeline.clock.advance(5)
    assert pipeline.sql("SELECT count(*) FROM schedule_fires") == [(5,)]
    for database in databases:
        database.close()


def test_a_clock_that_jumps_back_does_not_fire_again(pipeline: Pipeline) -> None:
    beat = schedules(pipeline)
    assert beat.fire("sweep", 5.0)
    pipeline.clock.advance(3600)
    assert beat.fire("sweep", 5.0)
    pipeline.clock.advance(-3600)
    assert not beat.fire("sweep", 5.0)


def test_an_unknown_schedule_is_refused(pipeline: Pipeline) -> None:
    with pytest.raises(InvalidInput):
        schedules(pipeline).fire("nonsense", 5.0)


def test_a_beat_that_dies_after_firing_costs_one_period(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.submit()
    monkeypatch.setattr(failpoints, "_active", failpoints._parse("scheduler.after_fire:raise"))
    with pytest.raises(MetaQoreError):
        schedules(pipeline).fire("sweep", 5.0)
    monkeypatch.setattr(failpoints, "_active", {})
    pipeline.bell.rung.clear()
    assert not schedules(pipeline).fire("sweep", 5.0)
    pipeline.clock.advance(5)
    assert schedules(pipeline).fire("sweep", 5.0)
    assert [queue for queue, _ in pipeline.bell.rung] == ["psmp"]


def test_the_purge_forgets_old_keys_and_no_request(pipeline: Pipeline) -> None:
    old = pipeline.submit_once("old")
    pipeline.clock.advance(8 * 86400)
    new = pipeline.submit_once("new")
    schedules(pipeline).fire("purge", 3600.0)
    assert pipeline.submit_once("new").ids == new.ids
    assert pipeline.submit_once("old").ids != old.ids
    assert pipeline.states(old.ids) == ["accepted"]
