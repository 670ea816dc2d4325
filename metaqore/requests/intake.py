"""Accept (T1): one commit stores requests, idempotency keys and audit entries; only then comes the 202.

Request threads queue their records; one of them commits up to ``commit_batch`` together and releases the others
(group commit). A lone record is committed at once: nothing is ever held back to fill a batch.
"""

from __future__ import annotations

import contextlib
import threading
import time
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
from metaqore.requests.recorder import Recorder, encode

log = structlog.get_logger(__name__)

#: How long a caller waits for the database before it hears 503, in seconds.
COMMIT_TIMEOUT_S = 10.0

KeyOf = tuple[str, str, str, str]


class _Waiter:
    """One caller's record on its way into the database."""

    __slots__ = ("answered", "called", "error", "idempotency", "payloads", "receipt", "submissions", "taken")

    def __init__(self, submissions: Sequence[Submission], idempotency: Idempotency | None, store: Store) -> None:
        self.submissions = submissions
        # Encoded in the caller's thread: nothing is done under the write lock that could be done before.
        self.payloads = [encode(submission, store.seal) for submission in submissions]
        self.idempotency = idempotency
        self.receipt: Receipt | None = None
        self.error: MetaQoreError | None = None
        self.taken = False
        self.answered = False
        # A bare lock as a binary semaphore, half the cost of an Event: free once it is called.
        self.called = threading.Lock()
        self.called.acquire()

    def answer(self, result: Receipt | MetaQoreError) -> None:
        """Release the caller with its receipt, or with what to raise."""
        if isinstance(result, Receipt):
            self.receipt = result
        else:
            self.error = result
        self.answered = True
        self.call()

    def call(self) -> None:
        """Wake the caller: it is answered, or it is to lead."""
        with contextlib.suppress(RuntimeError):
            # RuntimeError: it was called before and has not looked yet.
            self.called.release()

    @property
    def key(self) -> KeyOf | None:
        if self.idempotency is None:
            return None
        first = self.submissions[0]
        return (first.organization, first.principal, self.idempotency.route, self.idempotency.key)


class Intake:
    """The first of the two doors.

    Group commit by leader and followers: whoever finds nobody committing commits for all who wait, in its own thread,
    and then hands over to the first who came meanwhile. A lone submitter so pays for no change of threads.
    """

    def __init__(
        self, store: Store, catalogue: Catalogue, bell: Bell, *, batch: int = 64, clock: Callable[[], int] = now_ms
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._bell = bell
        self._batch = batch
        self._clock = clock
        self._waiting: deque[_Waiter] = deque()
        self._guard = threading.Lock()
        self._leading = threading.Lock()

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
        waiter = _Waiter(submissions, idempotency, self._store)
        self._waiting.append(waiter)
        until = time.monotonic() + COMMIT_TIMEOUT_S
        while not waiter.answered:
            self._lead()
            if not waiter.called.acquire(timeout=max(0.0, until - time.monotonic())):
                self._give_up(waiter)
        if waiter.error is not None:
            raise waiter.error
        if waiter.receipt is None:
            raise Unavailable
        return waiter.receipt

    def _lead(self) -> None:
        """Commit one group, unless somebody else does; then call the next leader."""
        if not self._leading.acquire(blocking=False):
            # Whoever leads looks at who waits after it has stopped leading, so this caller is seen.
            return
        try:
            group = self._take()
            if group:
                self._commit_group(group)
        finally:
            self._leading.release()
        self._hand_over()

    def _hand_over(self) -> None:
        """Call the first who still waits to lead; where somebody leads meanwhile, it only waits on."""
        with self._guard:
            while self._waiting and self._waiting[0].taken:
                self._waiting.popleft()
            if self._waiting:
                self._waiting[0].call()

    def _give_up(self, waiter: _Waiter) -> None:
        with self._guard:
            abandoned = not waiter.taken
            waiter.taken = True
        if abandoned:
            # It may just have been called to lead.
            self._hand_over()
            raise Unavailable("the database did not take the request in time; nothing was stored", retry_after_s=2)
        # Already inside a transaction: only its end can tell whether it was stored.
        waiter.called.acquire()

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
            self._after_commit(rings)
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
            rings: Mapping[str, list[str]] = recorder.rings
            if self._store.one_writer:
                # The ring is on its way while the commit is; see ``ringing`` for why nobody can be too early.
                self._ring(rings)
                rings = {}
        return results, rings

    def _after_commit(self, rings: Mapping[str, list[str]]) -> None:
        """Say what was stored. Whatever goes wrong here takes no promise back: the sweep rings again."""
        try:
            failpoints.hit("submit.after_commit")
        except Exception:
            log.exception("ring_failed", queues=sorted(rings))
        else:
            self._ring(rings)

    def _ring(self, rings: Mapping[str, list[str]]) -> None:
        try:
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
