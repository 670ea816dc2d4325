"""Long work: prepare (commit), perform (no transaction open), settle (commit).

Whatever happens between, the row tells: a crash leaves it running under a lease that ends, and the next claim raises
the fence, so that the one who was thought dead can no longer settle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import structlog

from metaqore import failpoints, ongoing
from metaqore.errors import MetaQoreError
from metaqore.messages import Outcome, Prepared, Request
from metaqore.ongoing import Ongoing
from metaqore.requests.attempts import PASSING, exhausted, halves, outcome_of
from metaqore.requests.catalogue import Kind, LongWork
from metaqore.requests.executor import Executor, about
from metaqore.requests.heartbeat import ForgetProgress, heartbeat
from metaqore.requests.recorder import Recorder

log = structlog.get_logger(__name__)


def drain(executor: Executor, queue: str, heard: set[str] | None = None) -> int:
    """Perform all open long work of ``queue``; return how many requests were settled.

    Args:
        heard: see ``Executor.drain``.
    """
    total = 0
    for kind in executor.catalogue.long(queue):
        while not failpoints.hit("drain.off"):
            batch = executor.peek(queue, [kind.name], kind.batch)
            if not batch:
                break
            if heard:
                heard.difference_update([request.id for request in batch])
            done = _perform_batch(executor, kind, batch)
            executor.looked(queue, done)
            total += done
            if done == 0:
                break
    return total


def _perform_batch(executor: Executor, kind: Kind, batch: Sequence[Request]) -> int:
    long = kind.long
    if long is None:
        raise TypeError(f"{kind.name} is no long work")
    _survey(kind, [request for request in batch if not isinstance(request.studied, MetaQoreError)])
    work, finished = _prepare_or_split(executor, kind, long, batch)
    if not work:
        return finished
    failpoints.hit("worker.after_claim")
    going, batch = Ongoing(), [request for request, _ in work]
    with heartbeat(executor, kind, batch, going), ongoing.here(going):
        outcomes = _run(long, work)
    failpoints.hit("worker.mid_work")
    for request, outcome in zip(batch, outcomes, strict=True):
        if request.id in going.said:
            outcome.writes = [*outcome.writes, ForgetProgress(request.id)]
    done = executor.finish(batch, _withheld(executor, work, outcomes), leased=True)
    # What was taken away is nobody's work any more either: there may be more to do.
    return finished + done + len(going.gone)


def _survey(kind: Kind, batch: Sequence[Request]) -> None:
    """Let the kind look at a batch together. What it finds only saves work, so nothing waits for it."""
    if kind.survey is not None:
        try:
            kind.survey(batch)
        except Exception:
            log.exception("survey_failed", requests=[request.id for request in batch])


def _withheld(
    executor: Executor, work: Sequence[tuple[Request, Any]], outcomes: Sequence[Outcome]
) -> Sequence[Outcome]:
    """Keep what was done for the record, but not for those who were refused meanwhile."""
    if executor.guard is None:
        return outcomes
    batch = [request for request, _ in work]
    with executor.store.read() as tx:
        refused = executor.refused(batch, tx, executor.clock())
    return [
        msgspec.structs.replace(
            refused[request.id],
            writes=[*outcome.writes, *refused[request.id].writes], audit=[*outcome.audit, *refused[request.id].audit],
        )
        if request.id in refused
        else outcome
        for request, outcome in zip(batch, outcomes, strict=True)
    ]  # fmt: skip


def _prepare_or_split(
    executor: Executor, kind: Kind, long: LongWork, batch: Sequence[Request]
) -> tuple[list[tuple[Request, Any]], int]:
    """Prepare ``batch``, together where that is possible; return what to perform and how many were finished at once."""
    try:
        return _prepare(executor, kind, long, batch)
    except PASSING:
        raise
    except Exception as error:
        if len(batch) > 1:
            first, second = (_prepare_or_split(executor, kind, long, half) for half in halves(batch))
            return first[0] + second[0], first[1] + second[1]
        if not isinstance(error, MetaQoreError):
            log.exception("prepare_failed", **about(batch[0]))
        return [], executor.finish(batch, [outcome_of(error, "preparing")], leased=False)


def _prepare(
    executor: Executor, kind: Kind, long: LongWork, batch: Sequence[Request]
) -> tuple[list[tuple[Request, Any]], int]:
    """Claim, let the handler prepare, and commit."""
    executor.before(batch)
    failpoints.hit("worker.before_claim")
    work: list[tuple[Request, Any]] = []
    with executor.store.write() as tx:
        now = executor.clock()
        recorder = Recorder(executor.catalogue, now)
        mine = tx.requests.confirm(kind.queue, batch)
        refused = executor.refused(mine, tx, now)
        at_once: list[tuple[Request, Outcome]] = []
        fresh = []
        for request in mine:
            if request.id in refused:
                tx.apply(refused[request.id].writes)
                at_once.append((request, refused[request.id]))
                continue
            if isinstance(request.studied, MetaQoreError):
                at_once.append((request, outcome_of(request.studied, "")))
            elif request.attempt >= executor.limits.max_attempts:
                at_once.append((request, exhausted()))
            else:
                fresh.append(request)
        for request, answer in zip(fresh, long.prepare(fresh, tx.reads(kind.feature), now), strict=True):
            tx.apply(answer.writes)
            if isinstance(answer, Prepared):
                claimed = msgspec.structs.replace(request, attempt=request.attempt + 1, fence=request.fence + 1)
                work.append((claimed, answer.work))
                for note in answer.audit:
                    recorder.note_request(request, note)
            else:
                at_once.append((request, answer))
        done = executor.write_outcomes(tx, recorder, at_once, now, leased=False)
        tx.requests.lease([request for request, _ in work], executor.owner, now + kind.lease_s * 1000)
        recorder.flush(tx)
    executor.after_commit(done, recorder)
    return work, len(at_once)


def _run(long: LongWork, work: Sequence[tuple[Request, Any]]) -> list[Outcome]:
    try:
        return long.perform(work)
    except Exception as error:
        if len(work) > 1:
            # One that makes the work raise must not use up the attempts of its neighbours.
            return [outcome for half in halves(work) for outcome in _run(long, half)]
        if not isinstance(error, MetaQoreError):
            log.exception("perform_failed", **about(work[0][0]))
        return [outcome_of(error, "working")]
