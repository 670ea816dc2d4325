"""Decide (T2): claim what is open, let the handlers decide, commit verdict and effects in one transaction.

``drain`` is what a ring starts. Pure decisions are claimed, decided and committed in one transaction; long work is
claimed under a lease, performed with no transaction open, and settled under its fence (``long_work``). Delivered at
least once, done exactly once: whoever comes late finds another fence and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog

from metaqore import failpoints
from metaqore.audit.tags import Tag
from metaqore.clock import now_ms
from metaqore.errors import Contention, MetaQoreError
from metaqore.messages import AuditNote, EventNote, Outcome, Request, State, Submission
from metaqore.requests.attempts import PASSING, Defect, Limits, exhausted, goes_again, halves, outcome_of, settle
from metaqore.requests.backlog import Backlog
from metaqore.requests.catalogue import Catalogue
from metaqore.requests.model import (
    Finished,
    Idempotency,
    IdempotencyMismatch,
    Ran,
    Settled,
    Vetoed,
    claimable,
    runs,
)
from metaqore.requests.ports import Bell, Guard, Results, Store, Transaction
from metaqore.requests.recorder import Recorder

log = structlog.get_logger(__name__)

#: How many pages, of how many requests at least, a drain looks through past requests that must wait. What waits behind
#: a request seen to wait is not looked at again, so a long line in one project hides nothing.
_MAX_PAGES, _MIN_PAGE = 16, 32


def about(request: Request) -> dict[str, str | None]:
    """Return what a log line says of a request: whose it is, never what is in it."""
    return {"request": request.id, "kind": request.kind, "organization": request.organization,
            "project": request.project}  # fmt: skip


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
        guard: Guard | None = None,
    ) -> None:
        self.store = store
        self.catalogue = catalogue
        self.results = results
        self.bell = bell
        self.limits = limits or Limits()
        self.owner = owner
        self.clock = clock
        self.guard = guard
        #: Called with (queue, how many were finished) after each batch, now and then during long work, too.
        self.looked: Callable[[str, int], None] = lambda _queue, _finished: None
        #: Called with what is decided next, before its transaction begins. Where it raises, nothing is decided.
        self.before: Callable[[Sequence[Request | Submission]], None] = lambda _batch: None

    def drain(self, queue: str, heard: set[str] | None = None) -> int:
        """Decide every pure request that is open on ``queue``; return how many were decided.

        Args:
            heard: ids of requests that should be there; those that are found are taken out.

        Raises:
            Unavailable: the database cannot be reached; nothing is lost, the sweep rings again.
        """
        total = 0
        kinds, size = self.catalogue.pure(queue), self.limits.drain_batch
        backlog = Backlog(lambda after, blocked: self.peek(queue, kinds, size, after=after, blocked=blocked), size)
        while not failpoints.hit("drain.off") and (batch := backlog.take()):
            if heard:
                heard.difference_update([request.id for request in batch])
            waiting: set[str] = set()
            decided = self._decide_or_split(queue, batch, waiting, meanwhile=backlog.look_ahead)
            self.looked(queue, decided)
            total += decided
            if not backlog.is_more(decided, waiting):
                break
        return total

    def drain_carefully(self, queue: str) -> int:
        """Decide the oldest open batch of ``queue`` one by one, each claimed apart from its decision.

        A worker does this when it starts: where a request killed the one before it, in a transaction that left no
        trace, this counts the attempt first, so that a poisonous request ends as ``dead`` and not its queue.
        """
        total, waiting = 0, set[str]()
        if failpoints.hit("drain.off"):
            return 0
        for request in self.peek(queue, self.catalogue.pure(queue), self.limits.drain_batch):
            if request.ordering_key in waiting:
                continue
            leased = self.lease([request], self.limits.lease_s)
            if not leased:
                waiting |= _keys([request])
            elif leased[0].attempt > self.limits.max_attempts:
                self.finish(leased, [exhausted()], leased=True)
            else:
                total += self._decide_or_split(queue, leased, waiting, leased=True)
        return total

    def run_now(self, submission: Submission, idempotency: Idempotency | None = None) -> Ran:
        """Accept and decide a control-plane request in one transaction, inside the API call.

        Raises:
            MetaQoreError: whatever the handler refuses with; nothing is stored then.
            Vetoed: by SecureGateway; the veto is stored.
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
        self.before([submission])
        with self.store.write() as tx:
            tx.hold(submission.organization)
            now = self.clock()
            recorder = Recorder(self.catalogue, now)
            if idempotency is not None:
                owner = (submission.organization, submission.principal, idempotency.route, idempotency.key)
                seen = tx.requests.find_keys([owner]).get(owner)
                if seen is not None:
                    return _replayed(tx, seen, idempotency)
            request = recorder.accept(submission)
            request.studied = kind.study(request) if kind.study is not None else None
            governing = tx.reads("security")
            vetoed = self.guard.check([request], governing, now).get(request.id) if self.guard is not None else None
            outcome = vetoed or kind.decide([request], tx.reads(kind.feature), now)[0]
            if vetoed is None and self.guard is not None:
                self.guard.remark([request], [outcome], governing)
            tx.apply(outcome.writes)
            recorder.record(request, outcome, State.SUCCEEDED)
            self._flush(tx, recorder)
            settled, _ = settle(request, outcome, now, self.limits, leased=False)
            tx.requests.settle_by_id(request.id, settled)
            if idempotency is not None and vetoed is None:
                key = (submission.organization, submission.principal, idempotency, [request.id], now)
                tx.requests.insert_keys([key])
        self.after_commit([], recorder)
        if vetoed is not None:
            decision = vetoed.result["decision"]
            raise Vetoed("; ".join(decision["reasons"]), decision=decision)
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
        """Commit outcomes that were decided outside of a transaction; return how many were still ours to commit.

        What cannot be committed together is committed one by one; what cannot be committed at all is tried again.
        """
        failpoints.hit("worker.before_finish_tx")
        return self._finish_or_split(list(zip(batch, outcomes, strict=True)), leased=leased, repeat=True)

    def _finish_or_split(self, decided: Sequence[tuple[Request, Outcome]], *, leased: bool, repeat: bool) -> int:
        try:
            return self._finish(decided, leased=leased)
        except PASSING:
            raise
        except Exception as error:
            if len(decided) > 1:
                return sum(self._finish_or_split(half, leased=leased, repeat=repeat) for half in halves(decided))
            if repeat and isinstance(error, Contention):
                return self._finish_or_split(decided, leased=leased, repeat=False)
            request = decided[0][0]
            log.warning("outcome_refused", **about(request), exc_info=error)
            return self._finish([(request, outcome_of(error, "committing"))], leased=leased)

    def _finish(self, decided: Sequence[tuple[Request, Outcome]], *, leased: bool) -> int:
        batch = [request for request, _ in decided]
        with self.store.write() as tx:
            now = self.clock()
            by_id = {request.id: outcome for request, outcome in decided}
            mine = tx.requests.still_mine(batch) if leased else tx.requests.confirm(batch[0].queue, batch)
            tx.apply([write for request in mine for write in by_id[request.id].writes])
            recorder = Recorder(self.catalogue, now)
            finished = self.write_outcomes(tx, recorder, [(r, by_id[r.id]) for r in mine], now, leased=leased)
            self._flush(tx, recorder)
        self.after_commit(finished, recorder)
        return len(mine)

    def peek(
        self, queue: str, kinds: Sequence[str], limit: int, *, after: int = 0, blocked: set[str] | None = None
    ) -> list[Request]:
        """Return up to ``limit`` requests that may be claimed now, studied, in the order of their acceptance.

        Args:
            after: only those with a greater ``seq``.
            blocked: ordering keys that must wait; those found to wait are added.
        """
        if not kinds:
            return []
        ready: list[Request] = []
        blocked = set() if blocked is None else blocked
        page, now = max(limit, _MIN_PAGE), self.clock()
        with self.store.read() as tx:
            for _ in range(_MAX_PAGES):
                rows = tx.requests.peek(queue, kinds, after, page, now=now, but=blocked)
                ready += claimable(rows, now, blocked)
                if len(rows) < page or len(ready) >= limit:
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
                except Exception as error:
                    log.exception("study_failed", **about(request))
                    request.studied = Defect(f"{type(error).__name__} while reading the payload")

    def _decide_or_split(
        self, queue: str, batch: Sequence[Request], waiting: set[str], *, leased: bool = False,
        meanwhile: Callable[[], None] | None = None,
    ) -> int:  # fmt: skip
        """Decide ``batch``, together where that is possible; return how many were decided.

        Args:
            meanwhile: see ``Store.write``.
            waiting: ordering keys of which a request could not be decided, so that nothing later under such a key
                overtakes it. What is found to wait is added.
        """
        batch = [request for request in batch if request.ordering_key not in waiting]
        if not batch:
            return 0
        try:
            return self._decide(queue, batch, waiting, leased=leased, meanwhile=meanwhile)
        except PASSING:
            raise
        except Exception as error:
            # Nothing was written. Two workers raced for the same row, or one request makes its handler or the
            # database raise: halving finds which, and all others are decided.
            if len(batch) > 1:
                return sum(self._decide_or_split(queue, half, waiting, leased=leased) for half in halves(batch))
            request = batch[0]
            if not isinstance(error, MetaQoreError):
                log.exception("decide_failed", **about(request))
            waiting |= _keys(batch)
            return self.finish(batch, [outcome_of(error, "deciding")], leased=leased)

    def _decide(
        self, queue: str, batch: Sequence[Request], waiting: set[str], *, leased: bool,
        meanwhile: Callable[[], None] | None,
    ) -> int:  # fmt: skip
        log.debug("taken", queue=queue, requests=[request.id for request in batch])
        self.before(batch)
        failpoints.hit("worker.before_claim")
        with self.store.write(meanwhile) as tx:
            mine = tx.requests.still_mine(batch) if leased else tx.requests.confirm(queue, batch)
            held = _keys(batch) - _keys(mine) if len(mine) < len(batch) else set()
            now = self.clock()
            decided: list[tuple[Request, Outcome]] = []
            for run in runs(mine, self.catalogue.together):
                those = self._decide_run(run, tx, now, held, leased=leased)
                tx.apply([write for _, outcome in those for write in outcome.writes])
                decided += those
            failpoints.hit("worker.mid_work")
            recorder = Recorder(self.catalogue, now)
            finished = self.write_outcomes(tx, recorder, decided, now, leased=leased)
            self._flush(tx, recorder)
        failpoints.hit("worker.after_finish_commit")
        waiting |= held
        self.after_commit(finished, recorder)
        return len(decided)

    def _decide_run(
        self, run: Sequence[Request], tx: Transaction, now: int, held: set[str], *, leased: bool
    ) -> list[tuple[Request, Outcome]]:
        """Return what may be committed: nothing that comes after a request of its key that is to be tried again."""
        if held:
            run = [request for request in run if request.ordering_key not in held]
        decided = []
        for request, outcome in zip(run, self._ask(run, tx, now), strict=True):
            if request.ordering_key not in held:
                decided.append((request, outcome))
                if goes_again(request, outcome, self.limits, leased=leased):
                    held |= _keys([request])
        return decided

    def _ask(self, run: Sequence[Request], tx: Transaction, now: int) -> list[Outcome]:
        if not run:
            return []
        kind = self.catalogue[run[0].kind]
        decide = kind.decide
        if decide is None:
            raise TypeError(f"{kind.name} is not decided inside the transaction")
        broken = {r.id: outcome_of(r.studied, "") for r in run if isinstance(r.studied, MetaQoreError)}
        broken.update(self.refused(run, tx, now))
        sound = [request for request in run if request.id not in broken]
        outcomes = decide(sound, tx.reads(kind.feature), now) if sound else []
        if self.guard is not None:
            self.guard.remark(sound, outcomes, tx.reads("security"))
        if not broken:
            return outcomes
        by_id = {**broken, **{r.id: o for r, o in zip(sound, outcomes, strict=True)}}
        return [by_id[request.id] for request in run]

    def refused(self, batch: Sequence[Request], tx: Transaction, now: int) -> Mapping[str, Outcome]:
        """Return the outcome of each request that the guard refuses, by its id."""
        return self.guard.check(batch, tx.reads("security"), now) if self.guard is not None else {}

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
            settled, document = settle(request, outcome, now, self.limits, leased=leased)
            rows.append(settled)
            if document is None:
                recorder.note_request(request, AuditNote(tag=Tag.REQUEST_RETRIED, subject=request.id))
                continue
            recorder.record(request, outcome, settled.state)
            if settled.state is State.DEAD:
                recorder.note_event(request, EventNote("request.dead", request.id, {"kind": request.kind}))
            finished.append(document)
        tx.requests.settle(rows)
        return finished

    def _flush(self, tx: Transaction, recorder: Recorder) -> None:
        recorder.flush(tx)
        failpoints.hit("worker.in_finish_tx")

    def after_commit(self, finished: Sequence[Finished], recorder: Recorder) -> None:
        """Announce what was committed: results, event streams, rings."""
        try:
            if finished or recorder.organizations:
                self.results.publish(finished, recorder.organizations)
            for queue, ids in recorder.rings.items():
                self.bell.ring(queue, ids)
            if recorder.deliveries:
                self.bell.ring("system", [])
        except Exception:
            # What is committed is committed: whoever waits looks at the database, and the sweep rings again.
            log.exception("not_announced", requests=[document.id for document in finished])


def _replayed(tx: Transaction, seen: tuple[str, list[str]], idempotency: Idempotency) -> Ran:
    fingerprint, ids = seen
    if fingerprint != idempotency.fingerprint:
        raise IdempotencyMismatch
    return Ran(request_id=ids[0], result=tx.requests.result_of(ids[0]), replayed=True)


def _keys(batch: Sequence[Request]) -> set[str]:
    return {request.ordering_key for request in batch if request.ordering_key is not None}
