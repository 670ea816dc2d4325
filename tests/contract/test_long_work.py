"""Long work: prepared under a lease, performed with no transaction open, settled under its fence."""

from __future__ import annotations

import json
import threading
from functools import partial
from typing import Any

import pytest

from metaqore import failpoints, ongoing
from metaqore.errors import Contention
from metaqore.messages import Request, State
from metaqore.requests import heartbeat, long_work
from metaqore.requests.catalogue import Catalogue, Kind
from metaqore.requests.sweep import bury, sweep
from metaqore.store.views.requests import RequestViews
from tests.contract.pipeline import ORGANIZATION, Pipeline, together
from tests.running import wait_until


def submit(pipeline: Pipeline, n: int, **payload: Any) -> list[str]:
    return pipeline.intake.submit([pipeline.submission("test.long", n=i, **payload) for i in range(n)]).ids


def drain(pipeline: Pipeline) -> int:
    return long_work.drain(pipeline.executor, "llm")


def test_long_work_is_performed_once_and_settled(pipeline: Pipeline) -> None:
    ids = submit(pipeline, 10)
    assert drain(pipeline) == 10
    assert pipeline.all_have_their_effect(ids)
    assert pipeline.long.performed == ids
    assert drain(pipeline) == 0


def test_no_transaction_is_open_while_it_is_performed(pipeline: Pipeline) -> None:
    seen: list[State] = []

    def during(request: Request) -> None:
        pipeline.submit(n=1)
        seen.append(pipeline.state(request.id))

    pipeline.long.during = during
    submit(pipeline, 2)
    assert drain(pipeline) == 2
    assert seen == [State.RUNNING, State.RUNNING]


def test_what_preparing_decides_is_finished_at_once(pipeline: Pipeline) -> None:
    request = submit(pipeline, 1, how="at_once")[0]
    assert drain(pipeline) == 1
    assert pipeline.row(request)["verdict"] == "vetoed"
    assert pipeline.long.performed == []


def test_work_that_fails_is_performed_again_later(pipeline: Pipeline) -> None:
    request = submit(pipeline, 1, how="retry", times=2)[0]
    drain(pipeline)
    assert (pipeline.state(request), pipeline.row(request)["attempt"]) == (State.ACCEPTED, 1)
    assert drain(pipeline) == 0
    pipeline.clock.advance(60)
    drain(pipeline)
    pipeline.clock.advance(60)
    drain(pipeline)
    assert (pipeline.state(request), pipeline.row(request)["attempt"]) == (State.SUCCEEDED, 3)
    assert pipeline.long.performed == [request] * 3
    assert pipeline.effects(request) == 1


@pytest.mark.parametrize("how", ["raise", "prepare"])
def test_one_poisonous_request_ends_as_dead_and_its_neighbours_are_done(pipeline: Pipeline, how: str) -> None:
    before, bad, after = submit(pipeline, 2), submit(pipeline, 1, how=how), submit(pipeline, 3)
    for _ in range(pipeline.limits.max_attempts):
        drain(pipeline)
        pipeline.clock.advance(60)
    assert set(pipeline.states(before + after)) == {"succeeded"}
    assert pipeline.states(bad) == ["dead"]
    assert {pipeline.row(request)["attempt"] for request in before + after} == {1}


def test_outcomes_that_cannot_be_committed_together_are_committed_one_by_one(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = submit(pipeline, 4)
    write = pipeline.executor.write_outcomes

    def refuse(tx: Any, recorder: Any, decided: Any, now: int, *, leased: bool) -> Any:
        if any(request.id == ids[2] and outcome.error is None for request, outcome in decided):
            raise Contention("a unique constraint was hit")
        return write(tx, recorder, decided, now, leased=leased)

    monkeypatch.setattr(pipeline.executor, "write_outcomes", refuse)
    assert drain(pipeline) == 4
    assert pipeline.states(ids) == ["succeeded", "succeeded", "accepted", "succeeded"]
    assert pipeline.long.performed == ids


@pytest.mark.parametrize("place", ["worker.after_claim", "worker.mid_work", "worker.before_finish_tx"])
def test_work_whose_worker_died_is_done_again_when_its_lease_ends(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    ids = submit(pipeline, 2)
    monkeypatch.setattr(failpoints, "_active", failpoints._parse(f"{place}:raise"))
    with pytest.raises(failpoints.FailpointError):
        drain(pipeline)
    assert set(pipeline.states(ids)) == {"running"}
    monkeypatch.setattr(failpoints, "_active", {})
    assert drain(pipeline) == 0
    pipeline.clock.advance(30)
    assert sweep(pipeline.executor, pipeline.bell, now=pipeline.clock()) == {"llm": 2}
    assert drain(pipeline) == 2
    assert pipeline.all_have_their_effect(ids)
    assert {pipeline.row(request)["attempt"] for request in ids} == {2}


def test_a_worker_that_was_thought_dead_cannot_settle(pipeline: Pipeline) -> None:
    request = submit(pipeline, 1)[0]
    other = Pipeline(pipeline.database, pipeline.clock, pipeline.limits)

    def stall(_request: Request) -> None:
        pipeline.clock.advance(31)
        assert drain(other) == 1

    pipeline.long.during = stall
    assert drain(pipeline) == 0
    assert pipeline.long.performed == other.long.performed == [request]
    assert pipeline.all_have_their_effect([request])
    assert pipeline.row(request)["result"] == '{"attempt":2}'


def test_work_that_was_cancelled_meanwhile_is_not_settled(pipeline: Pipeline) -> None:
    request = submit(pipeline, 1)[0]
    pipeline.long.during = lambda r: cancel(pipeline, r.id)
    assert drain(pipeline) == 0
    assert (pipeline.state(request), pipeline.effects(request)) == (State.CANCELLED, 0)


def cancel(pipeline: Pipeline, request: str) -> None:
    pipeline.executor.run_now(pipeline.submission("request.cancel", None, request=request))


def test_work_that_used_up_its_attempts_is_buried(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    request = submit(pipeline, 1)[0]
    monkeypatch.setattr(failpoints, "_active", failpoints._parse("worker.mid_work:raise"))
    for _ in range(pipeline.limits.max_attempts):
        with pytest.raises(failpoints.FailpointError):
            drain(pipeline)
        pipeline.clock.advance(31)
    assert bury(pipeline.executor, now=pipeline.clock()) == 1
    assert pipeline.states([request]) == ["dead"]
    assert bury(pipeline.executor, now=pipeline.clock()) == 0


def with_short_lease(pipeline: Pipeline) -> Kind:
    kind = Kind(name="test.long", queue="llm", feature="psmp", scope="-", long=pipeline.long, lease_s=1, batch=4)
    pipeline.catalogue._kinds["test.long"] = kind
    return kind


def test_a_lease_is_extended_while_the_work_goes_on(pipeline: Pipeline) -> None:
    with_short_lease(pipeline)
    request = submit(pipeline, 1)[0]

    def during(_request: Request) -> None:
        pipeline.clock.advance(0.9)
        until = pipeline.clock() + 1000
        wait_until(lambda: pipeline.row(request)["lease_until"] >= until, "the lease is extended")
        pipeline.clock.advance(0.9)
        assert long_work.drain(pipeline.another_executor("two"), "llm") == 0

    pipeline.long.during = during
    assert drain(pipeline) == 1
    assert pipeline.long.performed == [request]


def test_without_a_heartbeat_another_worker_takes_over_and_the_first_cannot_settle(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failpoints, "_active", failpoints._parse("heartbeat.skip:skip"))
    with_short_lease(pipeline)
    request = submit(pipeline, 1)[0]
    other = Pipeline(pipeline.database, pipeline.clock, pipeline.limits)
    until = pipeline.clock() + 1000

    def during(_request: Request) -> None:
        missed = threading.Event()
        missed.wait(0.7)  # two beats
        assert pipeline.row(request)["lease_until"] == until
        pipeline.clock.advance(1)
        assert drain(other) == 1

    pipeline.long.during = during
    assert drain(pipeline) == 0
    assert pipeline.all_have_their_effect([request])


def test_a_heartbeat_outlives_an_error_of_the_database(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    with_short_lease(pipeline)
    request = submit(pipeline, 1)[0]
    write, failed = pipeline.store.write, threading.Event()

    def broken() -> Any:
        failed.set()
        raise RuntimeError("no connection")

    def during(_request: Request) -> None:
        monkeypatch.setattr(pipeline.store, "write", broken)
        assert failed.wait(60)
        monkeypatch.setattr(pipeline.store, "write", write)
        pipeline.clock.advance(0.5)
        until = pipeline.clock() + 1000
        wait_until(lambda: pipeline.row(request)["lease_until"] >= until, "the lease is extended again")

    pipeline.long.during = during
    assert drain(pipeline) == 1


def test_several_workers_perform_each_request_once(pipeline: Pipeline) -> None:
    ids = submit(pipeline, 40)
    workers = [Pipeline(pipeline.database, pipeline.clock, pipeline.limits) for _ in range(4)]
    answers = together([lambda w=w: [drain(w) for _ in range(10)] for w in workers])  # type: ignore[misc]
    assert all(isinstance(answer, list) for answer in answers), answers
    drain(pipeline)
    assert pipeline.all_have_their_effect(ids)
    performed = [request for worker in [*workers, pipeline] for request in worker.long.performed]
    assert sorted(performed) == sorted(ids)


def test_long_work_cannot_promise_an_order(pipeline: Pipeline) -> None:
    with pytest.raises(ValueError, match="order"):
        Catalogue([Kind(name="x", queue="llm", feature="psmp", scope="-", long=pipeline.long, ordered_by_project=True)])


def _progress(pipeline: Pipeline, request: str) -> Any:
    found = RequestViews(pipeline.database).get(ORGANIZATION, request)
    assert found is not None
    return json.loads(found.document).get("progress")


def test_long_work_shows_how_far_it_is_while_it_runs(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "_LOOK_S", 0.01)
    seen: list[Any] = []

    def during(request: Request) -> None:
        for done in (1, 2):
            ongoing.report(request.id, done=done, total=2, of="pieces")
            seen.append(wait_until(partial(_at, pipeline, request.id, done), "its progress is stored", seconds=60))

    pipeline.long.during = during
    request = submit(pipeline, 1)[0]

    assert drain(pipeline) == 1
    assert [(each["of"], each["done"], each["total"]) for each in seen] == [("pieces", 1, 2), ("pieces", 2, 2)]
    assert _progress(pipeline, request) is None
    assert _rows(pipeline) == 0


def _at(pipeline: Pipeline, request: str, done: int) -> Any:
    progress = _progress(pipeline, request)
    return progress if progress is not None and progress["done"] == done else None


def _rows(pipeline: Pipeline) -> Any:
    with pipeline.database.read() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM request_progress").scalar()


def test_long_work_that_is_cancelled_stops_where_it_next_reports(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "_LOOK_S", 0.01)
    stopped: list[str] = []

    def during(request: Request) -> None:
        ongoing.report(request.id, done=0, of="pieces")
        pipeline.executor.run_now(pipeline.submission("request.cancel", None, request=request.id))
        try:
            wait_until(lambda: ongoing.report(request.id, done=1, of="pieces"), "it hears of it", seconds=60)
        except ongoing.Stopped:
            stopped.append(request.id)
            raise

    pipeline.long.during = during
    request = submit(pipeline, 1)[0]

    # It counts as looked after, so that whatever waits behind it is not left to the sweep.
    assert drain(pipeline) == 1
    assert stopped == [request]
    assert [type(error) for error in pipeline.long.errors] == [ongoing.Stopped]
    pipeline.long.errors.clear()
    assert (pipeline.state(request), pipeline.long.performed) == (State.CANCELLED, [])
    assert _progress(pipeline, request) is None


def test_what_was_taken_away_stops_and_its_neighbours_go_on() -> None:
    going = ongoing.Ongoing()
    going.take_away(["gone"])
    with ongoing.here(going):
        ongoing.report("here", done=1, of="pieces")
        with pytest.raises(ongoing.Stopped, match="gone"):
            ongoing.report("gone", done=1, of="pieces")
    assert (set(going.news()), set(going.said)) == ({"here"}, {"here"})
    ongoing.report("gone", done=1, of="nobody listens outside of long work")
