"""A worker whose queue has work that nobody takes counts as stuck; one that is merely idle or young does not."""

from __future__ import annotations

from metaqore.messages import Submission
from metaqore.requests.progress import STALLED_AFTER_MS, Progress, stalled
from tests.contract.pipeline import Pipeline


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
