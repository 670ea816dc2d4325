"""The store that intake and executor work with: transactions, effects, look-ups.

``apply`` finds for each kind of effect the function that writes it, in bulk; the functions are in ``repositories``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from metaqore.audit.entry import Entry
from metaqore.messages import Write
from metaqore.store.connection import Connection
from metaqore.store.engine import Database
from metaqore.store.repositories import (
    audit,
    compliance,
    delivery,
    hmcp,
    llm,
    privacy,
    psmp,
    psmp_approvals,
    psmp_holdings,
    psmp_rules,
    psmp_time,
    request_progress,
    request_views,
    security,
    sinks,
)
from metaqore.store.repositories.requests import RequestRows
from metaqore.store.repositories.security_gate import GateRows
from metaqore.store.sealed import seal_early

#: Applies effects of one type, given in order.
Writer = Callable[[Database, Connection, Sequence[Any]], None]

#: In the order in which they are written. A thing comes before what is done to it: within one batch a request may
#: change what an earlier one has made, so the order in which types first appear says nothing.
WRITERS: dict[type[Write], Writer] = {
    **psmp_time.WRITERS,
    **psmp.WRITERS,
    **psmp_rules.WRITERS,
    **psmp_holdings.WRITERS,
    **psmp_approvals.WRITERS,
    **security.WRITERS,
    **llm.WRITERS,
    **hmcp.WRITERS,
    **delivery.WRITERS,
    **request_views.WRITERS,
    **request_progress.WRITERS,
    **privacy.WRITERS,
    **sinks.WRITERS,
    **compliance.WRITERS,
}
_ORDER = {kind: position for position, kind in enumerate(WRITERS)}
READERS: dict[str, Callable[[Database, Connection], Any]] = {
    "audit": audit.AuditRows,
    "compliance": compliance.ComplianceRows,
    "privacy": privacy.PrivacyRows,
    "psmp": psmp.PsmpRows,
    "security": security.SecurityRows,
    "llm": llm.LlmRows,
    "hmcp": hmcp.HmcpRows,
    "delivery": delivery.DeliveryRows,
    "sinks": sinks.SinkRows,
    "requests": request_views.RequestViews,
    "ongoing": request_progress.OngoingRows,
}


class SqlTransaction:
    """See ``metaqore.requests.ports.Transaction``."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self.database = database
        self.connection = connection
        self.requests = RequestRows(database, connection)

    def reads(self, feature: str) -> Any:
        """Return the look-ups of ``feature``, inside this transaction."""
        reads = READERS[feature](self.database, self.connection)
        if isinstance(reads, GateRows):
            reads.gates = self.requests.gates
        return reads

    def apply(self, writes: Sequence[Write]) -> None:
        """Apply effects, all of one type together, types in the order of ``WRITERS``, each type in the order given."""
        for kind, group in groupby(sorted(writes, key=lambda write: _ORDER[type(write)]), key=type):
            WRITERS[kind](self.database, self.connection, list(group))

    def hold(self, organization: str) -> None:
        """Keep other control-plane writes of ``organization`` waiting until the commit."""
        # SQLite has one writer anyway.
        if not self.database.is_sqlite:
            sql = self.database.sql("SELECT pg_advisory_xact_lock(hashtextextended(?, 11))")
            self.connection.exec_driver_sql(sql, (organization,))

    def fire_once(self, schedule: str, fire_at: int, now: int) -> bool:
        """Record that a schedule fires; False where it has fired for this time already."""
        return request_views.fire_once(self.database, self.connection, schedule, fire_at, now)

    def note_progress(self, worker: str, queue: str, at: int, drained: int) -> None:
        """Note that a worker looked after a queue."""
        request_views.note_progress(self.database, self.connection, worker, queue, at, drained)

    def purge(self, *, keys_before: int, fires_before: int) -> int:
        """Delete old idempotency keys and schedule firings."""
        return request_views.purge(self.database, self.connection, keys_before=keys_before, fires_before=fires_before)

    def next_numbers(self, wanted: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
        """Reserve gapless audit and event numbers."""
        return self.requests.next_numbers(wanted)

    def append_audit(
        self, organization: str, entries: Sequence[tuple[Entry, str, str | None, str | None, int]]
    ) -> None:
        """Append audit entries."""
        audit.append(self.connection, organization, entries)

    def append_events(self, rows: Sequence[tuple[Any, ...]]) -> int:
        """Append events and their deliveries; return how many deliveries."""
        return delivery.append_events(self.database, self.connection, rows)


class SqlStore:
    """See ``metaqore.requests.ports.Store``."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @property
    def one_writer(self) -> bool:
        """See ``metaqore.requests.ports.Store``."""
        return self.database.is_sqlite

    @contextlib.contextmanager
    def read(self) -> Iterator[SqlTransaction]:
        """Look-ups only."""
        with self.database.read() as connection:
            yield SqlTransaction(self.database, connection)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[SqlTransaction]:
        """Look-ups only, all on one state of the database."""
        with self.database.snapshot() as connection:
            yield SqlTransaction(self.database, connection)

    def seal(self, organization: str, subject: str, salt: bytes, payload: str) -> str | None:
        """Return a payload sealed before its transaction, where the key of its data subject is known already."""
        return seal_early(self.database, (organization, subject), salt, payload)

    @contextlib.contextmanager
    def write(self, meanwhile: Callable[[], None] | None = None) -> Iterator[SqlTransaction]:
        """One write transaction; see ``Store``."""
        with self.database.write(meanwhile) as connection:
            yield SqlTransaction(self.database, connection)
