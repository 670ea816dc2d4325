"""Decide (T2): claim what is open, let the handlers decide, commit verdict and effects in one transaction.

``drain`` is what a ring starts. Pure decisions are claimed, decided and committed in one transaction; long work is
claimed under a lease, performed with no transaction open, and settled under its fence (``long_work``). Delivered at
least once, done exactly once: whoever comes late finds another fence and writes nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import structlog

from metaqore import failpoints
from metaqore.audit.tags import Tag
from metaqore.clock import now_ms
from metaqore.errors import Contention, MetaQoreError, Retryable
from metaqore.messages import AuditNote, EventNote, Outcome, Request, State, Submission, failed
from metaqore.requests.catalogue import Catalogue, Kind
from metaqore.requests.model import (
    Finished,
    Idempotency,
    IdempotencyMismatch,
    Ran,
    Settled,
    claimable,
    document,
    runs_of_one_kind,
)
from metaqore.requests.ports import Bell, Results, Store, Transaction
from metaqore.requests.recorder import Recorder

log = structlog.get_logger(__name__)

_encode = msgspec.json.Encoder().encode
#: How many pages a drain looks through past requests that must wait.
_MAX_PAGES = 16


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much, how often, how long. Times in the unit of their name."""

    drain_batch: int = 256
    lease_s: int = 30
    max_attempts: int = 5
    backoff_base_s: float = 1.0
    backoff_max_s: float = 60.0


def backoff_ms(attempt: int, limits: Limits, jitter: float) -> int:
    """Return how long to wait after attempt number ``attempt`` (1 or more), in milliseconds.

    Exponential with equal jitter: between half and all of the capped exponential, so that a burst of failures does
    not come back as a burst and none comes back at once.

    Args:
        jitter: in [0, 1).
    """
    capped = min(limits.backoff_max_s, limits.backoff_base_s * 2 ** (attempt - 1))
    return int(capped * (0.5 + jitter / 2) * 1000)


class Executor:
    """The second of the two doors."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        results: Results,
        bell: Bell,
        *,
        limits: Limits | None = None,
        owner: str = "",
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self.store = store
        self.catalogue = catalogue
        self.results = results
        self.bell = bell
        self.limits = limits or Limits()
        self.owner = owner
        self.clock = clock
        self._jitter = random.Random()

    def drain(self, queue: str) -> int:
        """Decide every pure request that is open on ``queue``; return how many were decided.

        Raises:
            Unavailable: the database cannot be reached; nothing is lost, the sweep rings again.
        """
        total = 0
        while not failpoints.hit("drain.off"):
            batch = self.peek(queue, self.catalogue.pure(queue), self.limits.drain_batch)
            if not batch:
                break
            decided = self._decide_or_split(queue, batch)
            total += decided
            if decided == 0:
                # Another worker holds these; it looks again when it is done.
                break
        return total

    def drain_carefully(self, queue: str) -> int:
        """Decide the oldest open batch of ``queue`` one by one, each claimed apart from its decision.

        A worker does this when it starts: where a request killed the one before it, in a transaction that left no
        trace, this counts the attempt first, so that a poisonous request ends as ``dead`` and not its queue.
        """
        total = 0
        for request in self.peek(queue, self.catalogue.pure(queue), self.limits.drain_batch):
            leased = self.lease([request], self.limits.lease_s)
            if leased and leased[0].attempt > self.limits.max_attempts:
                self.finish(leased, [exhausted()], leased=True)
            elif leased:
                self._study(leased)
                total += self._decide_or_split(queue, leased, leased=True)
        return total

    def run_now(self, submission: Submission, idempotency: Idempotency | None = None) -> Ran:
        """Accept and decide a control-plane request in one transaction, inside the API call.

        Raises:
            MetaQoreError: whatever the handler refuses with; nothing is stored then.
            IdempotencyMismatch: the key was used with another body.
        """
        try:
            return self._run_now(submission, idempotency)
        except Contention:
            # Another process stored the same key, or the same row, meanwhile.
            return self._run_now(submission, idempotency)

    def _run_now(self, submission: Submission, idempotency: Idempotency | None) -> Ran:
        kind = self.catalogue[submission.kind]
        if kind.decide is None:
            raise ValueError(f"{kind.name} is long work and cannot run inside the API call")
        with self.store.write() as tx:
            now = self.clock()
            recorder = Recorder(self.catalogue, now)
            if idempotency is not None:
                owner = (submission.organization, submission.principal, idempotency.route, idempotency.key)
                seen = tx.requests.find_keys([owner]).get(owner)
                if seen is not None:
                    return _replayed(tx, seen, idempotency)
            request = recorder.accept(submission)
            request.studied = kind.study(request) if kind.study is not None else None
            outcome = kind.decide([request], tx.reads(kind.feature), now)[0]
            tx.apply(outcome.writes)
            recorder.record(request, outcome, State.SUCCEEDED)
            self._flush(tx, recorder)
            settled, _ = self._settle(request, outcome, now, leased=False)
            tx.requests.settle_by_id(request.id, settled)
            if idempotency is not None:
                key = (submission.organization, submission.principal, idempotency, [request.id], now)
                tx.requests.insert_keys([key])
        self.after_commit([], recorder)
        return Ran(request_id=request.id, result=outcome.result, replayed=False, once=outcome.once)

    def lease(self, batch: Sequence[Request], seconds: int) -> list[Request]:
        """Claim ``batch`` under a lease in a transaction of its own; return those that are ours now."""
        if not batch:
            return []
        with self.store.write() as tx:
            mine = tx.requests.confirm(batch[0].queue, batch)
            for request in mine:
                request.attempt += 1
                request.fence += 1
            tx.requests.lease(mine, self.owner, self.clock() + seconds * 1000)
        failpoints.hit("worker.after_claim")
        return mine

    def load_open(self, ids: Sequence[str]) -> list[Request]:
        """Return those of ``ids`` that are not terminal, with their present fence."""
        with self.store.read() as tx:
            return tx.requests.open_by_id(ids)

    def finish(self, batch: Sequence[Request], outcomes: Sequence[Outcome], *, leased: bool) -> int:
        """Commit outcomes that were decided outside of a transaction; return how many were still ours to commit."""
        failpoints.hit("worker.before_finish_tx")
        with self.store.write() as tx:
            now = self.clock()
            by_id = {request.id: outcome for request, outcome in zip(batch, outcomes, strict=True)}
            mine = tx.requests.still_mine(batch) if leased else tx.requests.confirm(batch[0].queue, batch)
            for request in mine:
                tx.apply(by_id[request.id].writes)
            recorder = Recorder(self.catalogue, now)
            finished = self.write_outcomes(tx, recorder, [(r, by_id[r.id]) for r in mine], now, leased=leased)
            self._flush(tx, recorder)
        self.after_commit(finished, recorder)
        return len(mine)

    def peek(self, queue: str, kinds: Sequence[str], limit: int) -> list[Request]:
        """Return up to ``limit`` requests that may be claimed now, studied, in the order of their acceptance."""
        if not kinds:
            return []
        ready: list[Request] = []
        blocked: set[str] = set()
        after = 0
        with self.store.read() as tx:
            for _ in range(_MAX_PAGES):
                rows = tx.requests.peek(queue, kinds, after, limit)
                ready += claimable(rows, self.clock(), blocked)
                if len(rows) < limit or len(ready) >= limit:
                    break
                after = rows[-1].request.seq
        ready = ready[:limit]
        self._study(ready)
        return ready

    def _study(self, batch: Sequence[Request]) -> None:
        for request in batch:
            study = self.catalogue[request.kind].study
            if study is not None:
                try:
                    request.studied = study(request)
                except MetaQoreError as error:
                    request.studied = error

    def _decide_or_split(self, queue: str, batch: Sequence[Request], *, leased: bool = False) -> int:
        try:
            return self._decide(queue, batch, leased=leased)
        except Contention:
            if len(batch) > 1:
                # A unique constraint settled a race between two workers: only the requests concerned go again.
                return sum(self._decide_or_split(queue, [request], leased=leased) for request in batch)
            return self.finish(
                batch, [failed("contention", "another writer got there first", retryable=True)], leased=leased
            )

    def _decide(self, queue: str, batch: Sequence[Request], *, leased: bool) -> int:
        failpoints.hit("worker.before_claim")
        with self.store.write() as tx:
            mine = tx.requests.still_mine(batch) if leased else tx.requests.confirm(queue, batch)
            if not mine:
                return 0
            now = self.clock()
            decided: list[tuple[Request, Outcome]] = []
            for run in runs_of_one_kind(mine):
                outcomes = self._ask(self.catalogue[run[0].kind], run, tx, now)
                tx.apply([write for outcome in outcomes for write in outcome.writes])
                decided += zip(run, outcomes, strict=True)
            failpoints.hit("worker.mid_work")
            recorder = Recorder(self.catalogue, now)
            finished = self.write_outcomes(tx, recorder, decided, now, leased=leased)
            self._flush(tx, recorder)
        failpoints.hit("worker.after_finish_commit")
        self.after_commit(finished, recorder)
        return len(decided)

    def _ask(self, kind: Kind, run: Sequence[Request], tx: Transaction, now: int) -> list[Outcome]:
        decide = kind.decide
        if decide is None:
            raise TypeError(f"{kind.name} is not decided inside the transaction")
        broken = {r.id: _as_outcome(r.studied) for r in run if isinstance(r.studied, MetaQoreError)}
        sound = [request for request in run if request.id not in broken]
        try:
            outcomes = decide(sound, tx.reads(kind.feature), now) if sound else []
        except Contention:
            raise
        except Exception:
            # Deciding writes nothing, so it can be repeated one by one to find the request that is to blame.
            outcomes = [_ask_one(decide, request, tx, kind, now) for request in sound]
        by_id = {**broken, **{r.id: o for r, o in zip(sound, outcomes, strict=True)}}
        return [by_id[request.id] for request in run]

    def write_outcomes(
        self,
        tx: Transaction,
        recorder: Recorder,
        decided: Sequence[tuple[Request, Outcome]],
        now: int,
        *,
        leased: bool,
    ) -> list[Finished]:
        """Write new states, and note what to record; ``recorder.flush`` must follow. Effects are applied already."""
        rows: list[Settled] = []
        finished: list[Finished] = []
        for request, outcome in decided:
            settled, encoded = self._settle(request, outcome, now, leased=leased)
            rows.append(settled)
            if settled.state is State.ACCEPTED:
                recorder.note_request(request, AuditNote(tag=Tag.REQUEST_RETRIED, subject=request.id))
                continue
            recorder.record(request, outcome, settled.state)
            if settled.state is State.DEAD:
                recorder.note_event(request, EventNote("request.dead", request.id, {"kind": request.kind}))
            finished.append(_finished(request, settled, encoded, outcome))
        tx.requests.settle(rows)
        return finished

    def _flush(self, tx: Transaction, recorder: Recorder) -> None:
        recorder.flush(tx)
        failpoints.hit("worker.in_finish_tx")

    def _settle(self, request: Request, outcome: Outcome, now: int, *, leased: bool) -> tuple[Settled, bytes | None]:
        attempt = request.attempt if leased else request.attempt + 1
        available_at, finished_at, encoded = now, now, None
        if outcome.error is None:
            state = State.SUCCEEDED
            encoded = _encode(outcome.result)
        elif outcome.retryable and attempt < self.limits.max_attempts:
            state = State.ACCEPTED
            available_at = now + backoff_ms(attempt, self.limits, self._jitter.random())
        else:
            state = State.DEAD if outcome.retryable or outcome.error["code"] == "attempts_exhausted" else State.FAILED
        settled = Settled(
            seq=request.seq,
            old_fence=request.fence,
            state=state,
            verdict=outcome.verdict if state is State.SUCCEEDED else None,
            result=None if encoded is None else encoded.decode(),
            error=None if outcome.error is None else _encode(outcome.error).decode(),
            attempt=attempt,
            fence=request.fence if leased else request.fence + 1,
            available_at=available_at,
            finished_at=None if state is State.ACCEPTED else finished_at,
        )
        return settled, encoded

    def after_commit(self, finished: Sequence[Finished], recorder: Recorder) -> None:
        """Announce what was committed: results, event streams, rings."""
        if finished or recorder.organizations:
            self.results.publish(finished, recorder.organizations)
        for queue, ids in recorder.rings.items():
            self.bell.ring(queue, ids)
        if recorder.deliveries:
            self.bell.ring("system", [])


def _replayed(tx: Transaction, seen: tuple[str, list[str]], idempotency: Idempotency) -> Ran:
    fingerprint, ids = seen
    if fingerprint != idempotency.fingerprint:
        raise IdempotencyMismatch
    return Ran(request_id=ids[0], result=tx.requests.result_of(ids[0]), replayed=True)


def exhausted() -> Outcome:
    """Return the outcome of a request whose every attempt ended without one."""
    return failed("attempts_exhausted", "every attempt ended without an outcome")


def _finished(request: Request, settled: Settled, encoded: bytes | None, outcome: Outcome) -> Finished:
    return Finished(
        id=request.id,
        organization=request.organization,
        state=settled.state,
        document=document(
            request,
            state=settled.state,
            verdict=settled.verdict,
            result=encoded,
            error=outcome.error,
            attempt=settled.attempt,
            finished_at=settled.finished_at,
        ),
    )


def _ask_one(decide: Any, request: Request, tx: Transaction, kind: Kind, now: int) -> Outcome:
    try:
        outcome: Outcome = decide([request], tx.reads(kind.feature), now)[0]
    except Contention:
        raise
    except MetaQoreError as error:
        return _as_outcome(error)
    except Exception as error:
        log.exception("decide_failed", request=request.id, kind=request.kind)
        return failed("internal_error", f"{type(error).__name__} while deciding", retryable=True)
    return outcome


def _as_outcome(error: MetaQoreError) -> Outcome:
    return failed(error.code, error.message, retryable=isinstance(error, Retryable))
