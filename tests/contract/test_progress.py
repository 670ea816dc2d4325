"""A worker whose queue has work that nobody takes counts as stuck; one that is merely idle or young does not."""

from __future__ import annotations

import threading

import pytest

from metaqore.messages import Request, Submission
from metaqore.requests import heartbeat, long_work
from metaqore.requests.progress import STALLED_AFTER_MS, Progress, stalled
from metaqore.store.engine import Database
from tests.contract.pipeline import Pipeline
from tests.webhooks import Clock, FakeNetwork, Outbox


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return Outbox(database, FakeNetwork())


def _submit(pipeline: Pipeline) -> int:
    pipeline.intake.submit(
        [Submission(organization="default", project=None, principal="p", kind="test.free",
                    payload={})]
    )  # fmt: skip
    return pipeline.executor.clock()


def _stalled(pipeline: Pipeline, now: int, started_at: int = 0) -> list[str]:
    with pipeline.store.read() as tx:
        return stalled(tx.reads("requests"), ["psmp", "llm"], now=now, started_at=started_at)


def test_a_queue_whose_work_nobody_takes_for_a_minute_is_stalled(pipeline: Pipeline) -> None:
    now = _submit(pipeline)

    assert _stalled(pipeline, now + STALLED_AFTER_MS - 1000) == []
    assert _stalled(pipeline, now + STALLED_AFTER_MS + 1000) == ["psmp"]


def test_a_worker_that_has_just_started_is_given_its_minute(pipeline: Pipeline) -> None:
    now = _submit(pipeline) + 10 * STALLED_AFTER_MS

    assert _stalled(pipeline, now, started_at=now - 1000) == []


def test_a_queue_that_was_drained_lately_is_not_stalled(pipeline: Pipeline) -> None:
    now = _submit(pipeline) + 10 * STALLED_AFTER_MS
    Progress(pipeline.store, "worker-1", lambda: now - 1000).note("psmp", 3)

    assert _stalled(pipeline, now) == []


def test_a_queue_without_work_is_never_stalled(pipeline: Pipeline) -> None:
    _submit(pipeline)
    pipeline.executor.drain("psmp")

    assert _stalled(pipeline, pipeline.executor.clock() + 10 * STALLED_AFTER_MS) == []


def test_a_drain_that_goes_on_and_on_is_a_look_at_its_queue(pipeline: Pipeline) -> None:
    seen: list[tuple[str, int]] = []
    pipeline.executor.looked = lambda queue, finished: seen.append((queue, finished))
    for _ in range(pipeline.limits.drain_batch + 1):
        _submit(pipeline)

    pipeline.executor.drain("psmp")

    assert seen == [("psmp", pipeline.limits.drain_batch), ("psmp", 1)]


def test_long_work_says_that_it_goes_on(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "_SIGN_OF_LIFE_S", 0.01)
    seen, said = [], threading.Event()

    def looked(queue: str, finished: int) -> None:
        seen.append((queue, finished))
        said.set()

    def during(_request: Request) -> None:
        assert said.wait(60)

    pipeline.executor.looked, pipeline.long.during = looked, during
    pipeline.intake.submit(
        [Submission(organization="default", project=None, principal="p", kind="test.long", payload={})]
    )  # fmt: skip

    assert long_work.drain(pipeline.executor, "llm") == 1
    assert pipeline.long.errors == []
    assert seen[0] == ("llm", 0)
    assert seen[-1] == ("llm", 1)


def test_what_was_finished_between_two_notes_is_counted_with_the_next(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = Progress(pipeline.store, "worker-1", pipeline.executor.clock)
    for _ in range(3):
        progress.note("psmp", 2)
    monkeypatch.setattr("metaqore.requests.progress._NOTE_EVERY_S", 0.0)
    progress.note("psmp", 1)

    with pipeline.database.read() as connection:
        assert connection.exec_driver_sql("SELECT drained FROM worker_progress").scalar() == 7


def test_deliveries_that_nobody_sends_are_work_of_the_system_queue(outbox: Outbox) -> None:
    outbox.endpoint()
    outbox.events()
    clock = outbox.clock
    assert isinstance(clock, Clock)

    def stuck(after_ms: int) -> list[str]:
        with outbox.store.read() as tx:
            return stalled(tx.reads("requests"), ["system"], now=clock() + after_ms, started_at=0)

    assert stuck(STALLED_AFTER_MS - 1000) == []
    assert stuck(STALLED_AFTER_MS + 1000) == ["system"]
    outbox.dispatcher.run()
    assert stuck(STALLED_AFTER_MS + 1000) == []
