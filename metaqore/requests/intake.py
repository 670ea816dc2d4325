"""Accept (T1): one commit stores requests, idempotency keys and audit entries; only then comes the 202.

Request threads hand their records to one committer thread per process, which commits up to ``commit_batch`` of them
together and releases all waiters. A lone record is committed at once: nothing is ever held back to fill a batch.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import structlog

from metaqore import failpoints
from metaqore.clock import now_ms
from metaqore.errors import Contention, MetaQoreError, Unavailable
from metaqore.messages import Submission
from metaqore.requests.catalogue import Catalogue
from metaqore.requests.model import Idempotency, IdempotencyMismatch, Receipt
from metaqore.requests.ports import Bell, Store
from metaqore.requests.recorder import Recorder, encode_payload

log = structlog.get_logger(__name__)

#: How long a caller waits for the database before it hears 503, in seconds.
COMMIT_TIMEOUT_S = 10.0

KeyOf = tuple[str, str, str, str]


class _Waiter:
    """One caller's record on its way through the committer."""

    __slots__ = ("done", "error", "idempotency", "payloads", "receipt", "submissions", "taken")

    def __init__(self, submissions: Sequence[Submission], idempotency: Idempotency | None) -> None:
        self.submissions = submissions
        # Encoded in the caller's thread: nothing is done under the write lock that could be done before.
        self.payloads = [encode_payload(s.payload) for s in submissions]
        self.idempotency = idempotency
        self.receipt: Receipt | None = None
        self.error: MetaQoreError | None = None
        self.taken = False
        # A bare lock as a one-shot latch: half the cost of an Event.
        self.done = threading.Lock()
        self.done.acquire()

    def answer(self, result: Receipt | MetaQoreError) -> None:
        """Release the caller with its receipt, or with what to raise."""
        if isinstance(result, Receipt):
            self.receipt = result
        else:
            self.error = result
        self.done.release()

    @property
    def key(self) -> KeyOf | None:
        if self.idempotency is None:
            return None
        first = self.submissions[0]
        return (first.organization, first.principal, self.idempotency.route, self.idempotency.key)


class Intake:
    """The first of the two doors."""

    def __init__(
        self, store: Store, catalogue: Catalogue, bell: Bell, *, batch: int = 64, clock: Callable[[], int] = now_ms
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._bell = bell
        self._batch = batch
        self._clock = clock
        self._waiting: deque[_Waiter] = deque()
        self._wake = threading.Semaphore(0)
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = 0

    def submit(self, submissions: Sequence[Submission], idempotency: Idempotency | None = None) -> Receipt:
        """Store the requests and return their ids; when this returns, nothing can lose them.

        Args:
            submissions: 1 or more, of one organization and principal, stored in one commit.
            idempotency: makes a repeat return the first receipt.

        Raises:
            InvalidInput: a payload has no canonical form.
            UnknownKind: no such kind of request.
            IdempotencyMismatch: the key was used with another body.
            Unavailable: nothing was stored; safe to repeat.
        """
        for submission in submissions:
            self._catalogue[submission.kind]
        waiter = _Waiter(submissions, idempotency)
        self._ensure_committer()
        self._waiting.append(waiter)
        self._wake.release()
        if not waiter.done.acquire(timeout=COMMIT_TIMEOUT_S):
            with self._guard:
                abandoned = not waiter.taken
                waiter.taken = True
            if abandoned:
                raise Unavailable("the database did not take the request in time; nothing was stored", retry_after_s=2)
            # Already inside a transaction: only its end can tell whether it was stored.
            waiter.done.acquire()
        if waiter.error is not None:
            raise waiter.error
        if waiter.receipt is None:
            raise Unavailable
        return waiter.receipt

    def _ensure_committer(self) -> None:
        if self._thread is not None and self._pid == os.getpid():
            return
        with self._guard:
            if self._thread is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._wake.acquire()
            group = self._take()
            if group:
                self._commit_group(group)

    def _take(self) -> list[_Waiter]:
        group: list[_Waiter] = []
        size = 0
        with self._guard:
            while self._waiting and (not group or size + len(self._waiting[0].submissions) <= self._batch):
                waiter = self._waiting.popleft()
                if not waiter.taken:
                    waiter.taken = True
                    group.append(waiter)
                    size += len(waiter.submissions)
        return group

    def _commit_group(self, group: list[_Waiter], *, repeat: bool = True) -> None:
        try:
            results, rings = self._commit(group)
        except Unavailable as error:
            # Whether a commit that broke off was stored cannot be known, so it is not repeated.
            _refuse(group, error)
        except BaseException as error:
            if len(group) > 1:
                # One bad record must not fail its neighbours.
                half = len(group) // 2
                self._commit_group(group[:half])
                self._commit_group(group[half:])
            elif repeat and isinstance(error, Contention):
                # Another process stored the same key meanwhile: now it is there to be found.
                self._commit_group(group, repeat=False)
            elif isinstance(error, MetaQoreError) and not isinstance(error, Contention):
                _refuse(group, error)
            else:
                log.exception("commit_failed")
                _refuse(group, Unavailable(f"the request could not be stored ({type(error).__name__})"))
        else:
            self._ring(rings)
            for waiter, result in zip(group, results, strict=True):
                waiter.answer(result)

    def _commit(self, group: list[_Waiter]) -> tuple[list[Receipt | MetaQoreError], Mapping[str, list[str]]]:
        """Store what is new in ``group``; return an answer for each and, by queue, what to ring."""
        failpoints.hit("submit.before_tx")
        with self._store.write() as tx:
            now = self._clock()
            recorder = Recorder(self._catalogue, now)
            known = dict(tx.requests.find_keys([w.key for w in group if w.key is not None]))
            new_keys: list[tuple[str, str, Idempotency, list[str], int]] = []
            results = [_admit(waiter, known, recorder, new_keys, now) for waiter in group]
            tx.requests.insert_keys(new_keys)
            recorder.flush(tx)
            failpoints.hit("submit.after_insert")
            failpoints.hit("submit.before_commit")
        return results, recorder.rings

    def _ring(self, rings: Mapping[str, list[str]]) -> None:
        """Say what was stored. Whatever goes wrong here takes no promise back: the sweep rings again."""
        try:
            failpoints.hit("submit.after_commit")
            for queue, ids in rings.items():
                self._bell.ring(queue, ids)
        except Exception:
            log.exception("ring_failed", queues=sorted(rings))


def _refuse(group: list[_Waiter], error: MetaQoreError) -> None:
    for waiter in group:
        waiter.answer(error)


def _admit(
    waiter: _Waiter,
    known: dict[KeyOf, tuple[str, list[str]]],
    recorder: Recorder,
    new_keys: list[tuple[str, str, Idempotency, list[str], int]],
    now: int,
) -> Receipt | MetaQoreError:
    key, idempotency = waiter.key, waiter.idempotency
    if key is not None and idempotency is not None and key in known:
        fingerprint, ids = known[key]
        return Receipt(ids=ids, replayed=True) if fingerprint == idempotency.fingerprint else IdempotencyMismatch()
    ids = [recorder.accept(s, text).id for s, text in zip(waiter.submissions, waiter.payloads, strict=True)]
    if key is not None and idempotency is not None:
        known[key] = (idempotency.fingerprint, ids)
        new_keys.append((key[0], key[1], idempotency, ids, now))
    return Receipt(ids=ids)


def fingerprint_parts(method: str, route: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """Return what an idempotency fingerprint is the SHA-256 of: method, route, canonical body, meaningful headers."""
    chosen = "\n".join(f"{name}:{headers[name]}" for name in sorted(headers))
    return b"\n".join([method.encode(), route.encode(), chosen.encode(), body])
