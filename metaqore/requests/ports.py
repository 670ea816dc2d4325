"""What accepting and deciding need from the outside: a store, a place for results, a bell."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from metaqore.audit.entry import Entry
from metaqore.messages import Outcome, Request, Write
from metaqore.requests.model import Finished, Idempotency, OpenRequest, Settled


class RequestRows(Protocol):
    """The requests table inside a transaction (or, for ``peek``, outside of one)."""

    def peek(
        self, queue: str, kinds: Sequence[str], after: int, limit: int, *, now: int, but: Collection[str]
    ) -> list[OpenRequest]:
        """Return open requests of ``queue`` with ``seq`` above ``after``, by rising ``seq``.

        Args:
            now: what has no ordering key and cannot be claimed by then is left out.
            but: ordering keys whose requests are left out.
        """

    def open_by_id(self, ids: Sequence[str]) -> list[Request]:
        """Return those of ``ids`` that are not terminal."""

    def confirm(self, queue: str, batch: Sequence[Request]) -> list[Request]:
        """Return those of ``batch`` that nobody else has claimed since; they stay ours until the commit."""

    def insert(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert accepted requests: (id, organization, project, principal, kind, queue, ordering_key, payload, state,
        available_at, created_at, data subject or None for the principal, salt of the payload's commitment, the payload
        sealed before or None)."""

    def lease(self, batch: Sequence[Request], owner: str, until: int) -> None:
        """Mark as running under a lease, with the attempt and fence that ``batch`` already carries."""

    def extend(self, batch: Sequence[Request], until: int) -> int:
        """Extend the leases that are still ours; return how many are."""

    def still_mine(self, batch: Sequence[Request]) -> list[Request]:
        """Return those of ``batch`` that still run under the fence they were claimed with."""

    def settle(self, rows: Sequence[Settled]) -> None:
        """Write new states. Raises Contention unless every row still had its old fence."""

    def settle_by_id(self, request_id: str, row: Settled) -> None:
        """Write the state of a request that was inserted in this very transaction."""

    def result_of(self, request_id: str) -> dict[str, Any]:
        """Return the stored result of a request."""

    def find_keys(
        self, keys: Sequence[tuple[str, str, str, str]]
    ) -> Mapping[tuple[str, str, str, str], tuple[str, list[str]]]:
        """Return (organization, principal, route, key) → (fingerprint, request ids) for the keys that exist."""

    def insert_keys(self, rows: Sequence[tuple[str, str, Idempotency, list[str], int]]) -> None:
        """Insert idempotency keys: (organization, principal, key, request ids, created_at)."""


class Transaction(Protocol):
    """One write transaction: it commits as a whole or not at all."""

    @property
    def requests(self) -> RequestRows:
        """The requests table."""

    def reads(self, feature: str) -> Any:
        """Return the look-ups of a feature, inside this transaction."""

    def apply(self, writes: Sequence[Write]) -> None:
        """Apply effects in the order in which they came, in bulk where neighbours are of a kind."""

    def next_numbers(self, wanted: Mapping[str, tuple[int, int]]) -> Mapping[str, tuple[int, int]]:
        """Reserve gapless numbers: organization → (n audit, n events); returns the first of each."""

    def hold(self, organization: str) -> None:
        """Keep other control-plane writes of ``organization`` waiting until the commit: they read, then write."""

    def fire_once(self, schedule: str, fire_at: int, now: int) -> bool:
        """Record that a schedule fires; False where it has fired for this time already."""

    def note_progress(self, worker: str, queue: str, at: int, drained: int) -> None:
        """Note that a worker looked after a queue."""

    def purge(self, *, keys_before: int, fires_before: int) -> int:
        """Delete old idempotency keys and schedule firings; return how many keys."""

    def append_audit(
        self, organization: str, entries: Sequence[tuple[Entry, str, str | None, str | None, int]]
    ) -> None:
        """Append audit entries: (entry, actor, project, request id, time)."""

    def append_events(self, rows: Sequence[tuple[Any, ...]]) -> int:
        """Append events and a delivery for each endpoint that wants them; return how many deliveries."""


class Store(Protocol):
    """The database."""

    @property
    def one_writer(self) -> bool:
        """Whether a write transaction waits until the one before it is through, whatever it writes."""

    def read(self) -> AbstractContextManager[Transaction]:
        """Look-ups only."""

    def write(self, meanwhile: Callable[[], None] | None = None) -> AbstractContextManager[Transaction]:
        """One write transaction.

        Args:
            meanwhile: called, once at most, where another process or the database has to be waited for; must not
                write.
        """

    def seal(self, organization: str, subject: str, salt: bytes, payload: str) -> str | None:
        """Return a payload sealed for its data subject before the transaction, where the key is known already.

        ``insert`` looks whether that key still stands and seals again where it does not.
        """


class Guard(Protocol):
    """Refuses requests for what they are, before anybody decides them: SecureGateway's veto holds for every kind."""

    def check(self, batch: Sequence[Request], reads: Any, now: int) -> Mapping[str, Outcome]:
        """Return the outcome of each request that is refused, by its id.

        Args:
            reads: the look-ups of the feature ``security``.
        """

    def remark(self, batch: Sequence[Request], outcomes: Sequence[Outcome], reads: Any) -> None:
        """Name in what is audited of each request that was let through the policies that did so."""


class Results(Protocol):
    """The result backend: a cache, and the announcement to those who wait. Must not raise."""

    def publish(self, finished: Sequence[Finished], organizations: frozenset[str]) -> None:
        """Store results, announce them, and say that these organizations have new events."""


class Bell(Protocol):
    """Rings a queue. Must not block and must not raise: the sweep repairs a lost ring."""

    def ring(self, queue: str, ids: Sequence[str]) -> None:
        """Say that ``queue`` has open requests."""
