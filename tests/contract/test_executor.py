"""Decide (T2): claims, order, attempts, fences and races."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from metaqore import failpoints
from metaqore.errors import Contention, MetaQoreError
from metaqore.messages import Outcome, Request, State, Verdict
from metaqore.requests.attempts import Limits, backoff_ms
from metaqore.requests.model import Settled
from metaqore.store.engine import Database
from tests.contract.pipeline import Pipeline, together


def test_a_drain_decides_everything_that_is_open_once(pipeline: Pipeline) -> None:
    ids = pipeline.submit_many({"n": n} for n in range(300))
    assert pipeline.executor.drain("psmp") == 300
    assert pipeline.executor.drain("psmp") == 0
    assert pipeline.all_have_their_effect(ids)
    assert [f.id for f in pipeline.results.published] == ids


def test_while_another_process_writes_a_drain_reads_what_it_decides_next(pipeline: Pipeline) -> None:
    if not pipeline.database.is_sqlite:
        pytest.skip("PostgreSQL has no lock that writers wait for")
    ids = pipeline.submit_many({"n": n} for n in range(700))
    other, looked, seen = Database(pipeline.database.dsn), threading.Event(), []
    peek = pipeline.executor.peek

    def watched(*given: Any, after: int = 0, **more: Any) -> list[Request]:
        seen.append(after)
        found = peek(*given, after=after, **more)
        if after:
            looked.set()
        return found

    pipeline.executor.peek = watched  # type: ignore[method-assign]
    with other.write():
        drain = threading.Thread(target=pipeline.executor.drain, args=["psmp"])
        drain.start()
        assert looked.wait(60)
    drain.join(60)
    other.close()
    assert seen[:2] == [0, 256]
    assert pipeline.all_have_their_effect(ids)
    assert [f.id for f in pipeline.results.published] == ids


def test_what_was_read_ahead_does_not_overtake_what_is_to_be_tried_again(pipeline: Pipeline) -> None:
    first = pipeline.submit_many([{"n": n} for n in range(255)] + [{"how": "retry", "times": 1}])
    later, free = pipeline.submit(n="later"), pipeline.submit("test.free", n="free")
    write = pipeline.store.write

    def looking_ahead(meanwhile: Callable[[], None] | None = None) -> Any:
        if meanwhile is not None:
            meanwhile()
        return write()

    pipeline.store.write = looking_ahead  # type: ignore[method-assign]
    assert pipeline.executor.drain("psmp") == 257
    assert pipeline.states([*first[-2:], later, free]) == ["succeeded", "accepted", "accepted", "succeeded"]
    pipeline.clock.advance(9)
    assert pipeline.executor.drain("psmp") == 2
    assert [f.id for f in pipeline.results.published[-2:]] == [first[-1], later]


def test_an_empty_queue_or_one_without_kinds_is_drained_at_once(pipeline: Pipeline) -> None:
    assert pipeline.executor.drain("psmp") == 0
    assert pipeline.executor.drain("no-such-queue") == 0


def test_what_is_decided_leaves_a_row_that_says_so(pipeline: Pipeline) -> None:
    request = pipeline.submit(colour="red")
    pipeline.clock.advance(3)
    pipeline.executor.drain("psmp")
    row = pipeline.row(request)
    assert (row["state"], row["verdict"], row["attempt"], row["fence"]) == ("succeeded", "approved", 1, 1)
    assert row["result"] == '{"colour":"red"}'
    assert row["finished_at"] - row["created_at"] == 3000
    assert (row["lease_owner"], row["lease_until"]) == (None, None)


def test_a_failed_attempt_is_tried_again_later_and_later(pipeline: Pipeline) -> None:
    request = pipeline.submit(how="retry", times=2)
    pipeline.executor.drain("psmp")
    first = pipeline.row(request)["available_at"] - pipeline.clock()
    assert (pipeline.state(request), pipeline.row(request)["attempt"]) == (State.ACCEPTED, 1)
    pipeline.clock.now += first - 1
    assert pipeline.executor.drain("psmp") == 0
    pipeline.clock.now += 1
    assert pipeline.executor.drain("psmp") == 1
    second = pipeline.row(request)["available_at"] - pipeline.clock()
    assert 500 <= first < 1000 <= second < 2000
    pipeline.settle_all()
    assert (pipeline.state(request), pipeline.row(request)["attempt"]) == (State.SUCCEEDED, 3)
    assert pipeline.effects(request) == 1


@pytest.mark.parametrize("how", ["retry", "raise"])
def test_after_its_last_attempt_a_request_is_dead_and_an_event_says_so(pipeline: Pipeline, how: str) -> None:
    request = pipeline.submit(how=how, times=99)
    pipeline.settle_all()
    row = pipeline.row(request)
    assert (row["state"], row["attempt"], row["verdict"]) == ("dead", pipeline.limits.max_attempts, None)
    assert pipeline.sql("SELECT count(*) FROM events WHERE type = 'request.dead' AND request_id = ?", request) == [(1,)]
    assert pipeline.results.published[-1].state is State.DEAD
    tags = [row[0] for row in pipeline.sql("SELECT tag FROM audit_entries WHERE request_id = ? ORDER BY seq", request)]
    assert [tag.rpartition(":")[2] for tag in tags] == ["accepted", "retried", "retried", "dead"]


def test_an_error_that_no_repeat_can_cure_fails_at_once(pipeline: Pipeline) -> None:
    request = pipeline.submit(how="nonsense", times=99)
    pipeline.executor.drain("psmp")
    assert pipeline.states([request]) == ["failed"]
    assert '"code":"nonsense"' in pipeline.row(request)["error"]


def test_the_backoff_doubles_up_to_its_cap_and_has_jitter() -> None:
    limits = Limits(backoff_base_s=1, backoff_max_s=60)
    assert [backoff_ms(n, limits, 0.0) for n in (1, 2, 3)] == [500, 1000, 2000]
    assert [backoff_ms(n, limits, 0.999999) for n in (1, 2, 3)] == [999, 1999, 3999]
    assert backoff_ms(50, limits, 0.0) == 30_000


@pytest.mark.parametrize("how", ["raise", "study", "contention"])
def test_a_request_that_makes_its_handler_raise_does_not_touch_its_neighbours(pipeline: Pipeline, how: str) -> None:
    before = [pipeline.submit("test.scripted", "a", n=n) for n in range(3)]
    bad = pipeline.submit("test.scripted", "b", how=how, times=99)
    after = [pipeline.submit("test.scripted", "c", n=n) for n in range(3)]
    pipeline.executor.drain("psmp")
    assert set(pipeline.states(before + after)) == {"succeeded"}
    assert pipeline.states([bad]) == ["accepted"]
    pipeline.settle_all()
    assert pipeline.states([bad]) == ["dead"]


# --- order -----------------------------------------------------------------------------------------------------


def order_of_decisions(pipeline: Pipeline, project: str = "p") -> list[str]:
    rows = pipeline.sql("SELECT request_id, tag FROM audit_entries WHERE project = ? ORDER BY seq", project)
    return [request for request, tag in rows if tag.rpartition(":")[2] in ("decided", "dead", "failed")]


@pytest.mark.parametrize("how", ["retry", "raise", "contention", "study"])
def test_nothing_overtakes_a_request_of_its_project_that_must_be_tried_again(pipeline: Pipeline, how: str) -> None:
    ids = [pipeline.submit(n=0), pipeline.submit(how=how, times=1), pipeline.submit(n=2), pipeline.submit(n=3)]
    other = pipeline.submit(project="elsewhere")
    pipeline.executor.drain("psmp")
    assert pipeline.states(ids) == ["succeeded", "accepted", "accepted", "accepted"]
    assert pipeline.states([other]) == ["succeeded"]
    pipeline.settle_all()
    assert order_of_decisions(pipeline) == ids


def test_nothing_overtakes_when_a_worker_starts_carefully(pipeline: Pipeline) -> None:
    # A careful drain has counted the attempt already when the handler sees it.
    ids = [pipeline.submit(how="retry", times=2), pipeline.submit(n=1), pipeline.submit(n=2)]
    assert pipeline.executor.drain_carefully("psmp") == 1
    assert pipeline.states(ids) == ["accepted", "accepted", "accepted"]
    pipeline.settle_all()
    assert order_of_decisions(pipeline) == ids


def test_nothing_overtakes_a_request_that_another_worker_put_back_meanwhile(pipeline: Pipeline) -> None:
    ids = [pipeline.submit(how="retry", times=1), pipeline.submit(n=1)]
    seen = pipeline.executor.peek("psmp", ["test.scripted"], 256)
    first = pipeline.executor.peek("psmp", ["test.scripted"], 1)
    pipeline.another_executor("two")._decide_or_split("psmp", first, set())
    assert pipeline.states(ids) == ["accepted", "accepted"]
    pipeline.executor._decide_or_split("psmp", seen, set())
    assert pipeline.states(ids) == ["accepted", "accepted"]
    pipeline.settle_all()
    assert order_of_decisions(pipeline) == ids


def test_what_has_no_ordering_key_overtakes_freely(pipeline: Pipeline) -> None:
    ids = [pipeline.submit("test.free", how="retry", times=1), pipeline.submit("test.free")]
    pipeline.executor.drain("psmp")
    assert pipeline.states(ids) == ["accepted", "succeeded"]


def test_a_request_waits_for_the_one_before_it_that_is_leased(pipeline: Pipeline) -> None:
    ids = [pipeline.submit(n=0), pipeline.submit(n=1)]
    leased = pipeline.executor.lease(pipeline.executor.peek("psmp", ["test.scripted"], 1), 30)
    assert [request.id for request in leased] == ids[:1]
    assert pipeline.executor.drain("psmp") == 0
    pipeline.clock.advance(30)
    assert pipeline.executor.drain("psmp") == 2
    assert order_of_decisions(pipeline) == ids


def test_many_waiting_requests_do_not_hide_those_behind_them(pipeline: Pipeline) -> None:
    stuck = pipeline.submit(project="stuck", how="retry", times=1)
    pipeline.executor.drain("psmp")
    waiting = pipeline.submit_many(({"n": n} for n in range(600)), "stuck")
    behind = pipeline.submit(project="free")
    assert [r.id for r in pipeline.executor.peek("psmp", ["test.scripted"], 1)] == [behind]
    assert pipeline.executor.drain("psmp") == 1
    assert pipeline.states([stuck, behind]) == ["accepted", "succeeded"]
    pipeline.settle_all()
    assert order_of_decisions(pipeline, "stuck") == [stuck, *waiting]


def test_work_that_waits_for_its_own_time_hides_nothing(pipeline: Pipeline) -> None:
    failing = pipeline.intake.submit([pipeline.submission("test.free", how="retry", times=1)] * 600).ids
    pipeline.executor.drain("psmp")
    behind = pipeline.submit("test.free")
    assert [r.id for r in pipeline.executor.peek("psmp", ["test.free"], 1)] == [behind]
    assert set(pipeline.states(failing[:3])) == {"accepted"}


# --- leases and fences -----------------------------------------------------------------------------------------


def test_a_zombie_cannot_settle_what_was_claimed_again(pipeline: Pipeline) -> None:
    request = pipeline.submit()
    zombie = pipeline.executor.lease(pipeline.executor.peek("psmp", ["test.scripted"], 1), 30)
    pipeline.clock.advance(31)
    other = pipeline.another_executor("two")
    mine = other.lease(other.peek("psmp", ["test.scripted"], 1), 30)
    assert [(r.id, r.fence, r.attempt) for r in mine] == [(request, 2, 2)]
    approved = [Outcome(verdict=Verdict.APPROVED, result={"by": "zombie"})]
    assert pipeline.executor.finish(zombie, approved, leased=True) == 0
    assert pipeline.state(request) is State.RUNNING
    assert other.finish(mine, [Outcome(verdict=Verdict.APPROVED, result={"by": "two"})], leased=True) == 1
    assert pipeline.executor.finish(zombie, approved, leased=True) == 0
    assert pipeline.row(request)["result"] == '{"by":"two"}'


def test_a_lease_that_runs_cannot_be_claimed(pipeline: Pipeline) -> None:
    pipeline.submit()
    seen = pipeline.executor.peek("psmp", ["test.scripted"], 1)
    late = pipeline.executor.peek("psmp", ["test.scripted"], 1)
    assert len(pipeline.executor.lease(seen, 30)) == 1
    assert pipeline.executor.lease(late, 30) == []
    assert pipeline.executor.peek("psmp", ["test.scripted"], 1) == []


def test_settling_a_stale_fence_is_contention_and_writes_nothing(pipeline: Pipeline) -> None:
    pipeline.submit()
    row = pipeline.executor.peek("psmp", ["test.scripted"], 1)[0]
    settled = Settled(seq=row.seq, old_fence=7, state=State.SUCCEEDED, verdict=None, result="{}", error=None, attempt=1,
                      fence=8, available_at=0, finished_at=1)  # fmt: skip
    with pytest.raises(Contention), pipeline.store.write() as tx:
        tx.requests.settle([settled])
    assert pipeline.states([row.id]) == ["accepted"]


def test_a_careful_drain_counts_the_attempt_before_it_decides(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that kills its worker leaves no trace in a transaction; so each start counts it first."""
    monkeypatch.setattr(failpoints, "_active", failpoints._parse("worker.mid_work:raise"))
    killer = pipeline.submit()
    for attempt in range(1, pipeline.limits.max_attempts + 1):
        with pytest.raises(failpoints.FailpointError):
            pipeline.executor.drain_carefully("psmp")
        assert (pipeline.state(killer), pipeline.row(killer)["attempt"]) == (State.RUNNING, attempt)
        pipeline.clock.advance(31)
    pipeline.executor.drain_carefully("psmp")
    assert pipeline.states([killer]) == ["dead"]


# --- races -----------------------------------------------------------------------------------------------------


def test_three_workers_on_one_queue_decide_each_request_once_and_in_order(pipeline: Pipeline) -> None:
    asked = [pipeline.submission("test.scripted", f"p{n % 5}", how="retry", times=int(n % 3 == 0)) for n in range(200)]
    ids = pipeline.intake.submit(asked).ids
    databases = [Database(pipeline.database.dsn) for _ in range(3)]
    workers = [Pipeline(database, pipeline.clock, pipeline.limits) for database in databases]

    def work(worker: Pipeline) -> None:
        for _ in range(40):
            worker.executor.drain("psmp")
            worker.clock.advance(0.2)

    assert together([lambda w=w: work(w) for w in workers]) == [None] * 3  # type: ignore[misc]
    for database in databases:
        database.close()
    pipeline.settle_all()
    assert pipeline.all_have_their_effect(ids)
    for project in range(5):
        assert order_of_decisions(pipeline, f"p{project}") == ids[project::5]


def test_a_raised_failpoint_in_the_transaction_leaves_nothing_behind(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = pipeline.submit()
    monkeypatch.setattr(failpoints, "_active", failpoints._parse("worker.in_finish_tx:raise"))
    with pytest.raises(MetaQoreError):
        pipeline.executor.drain("psmp")
    assert (pipeline.states([request]), pipeline.effects(request)) == (["accepted"], 0)
    monkeypatch.setattr(failpoints, "_active", {})
    pipeline.executor.drain("psmp")
    assert (pipeline.states([request]), pipeline.effects(request)) == (["succeeded"], 1)


def test_an_announcement_that_fails_takes_nothing_back(pipeline: Pipeline) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    pipeline.results.publish = pipeline.bell.ring = broken  # type: ignore[method-assign, assignment]
    project = pipeline.executor.run_now(pipeline.submission("project.save", None, name="x"))
    assert project.result["name"] == "x"
    ids = [pipeline.submit(n=n) for n in range(3)]
    assert pipeline.executor.drain("psmp") == 3
    assert pipeline.all_have_their_effect(ids)
