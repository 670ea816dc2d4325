"""Requests, idempotency keys and counters: the hot path, in plain SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from metaqore.errors import Contention
from metaqore.messages import Request, State
from metaqore.requests.model import Idempotency, OpenRequest, Settled
from metaqore.store.bulk import BulkInsert, BulkUpdate, chunks, placeholders
from metaqore.store.connection import Connection
from metaqore.store.engine import Database
from metaqore.store.sealed import open_payloads, seal_payloads
from metaqore.store.tables.requests import idempotency, requests

_OPEN = "state IN ('accepted', 'running')"
_insert = BulkInsert(
    requests,
    "id organization project principal kind queue ordering_key payload state available_at created_at subject",
)
_insert_key = BulkInsert(idempotency, "organization principal route key fingerprint requests created_at")
_settle = BulkUpdate(
    requests, "state verdict result error attempt fence available_at finished_at", "seq fence",
    also="lease_owner = NULL, lease_until = NULL", extra="{t}." + _OPEN,
)  # fmt: skip
_lease = BulkUpdate(
    requests, "attempt fence lease_owner lease_until", "seq fence", also="state = 'running'", extra="{t}." + _OPEN
)
_extend = BulkUpdate(requests, "lease_until", "seq fence", extra="{t}.state = 'running'")
_STATES = {state.value: state for state in State}
_decode = msgspec.json.Decoder(dict[str, Any]).decode

_COLUMNS = "seq, id, organization, project, principal, kind, queue, ordering_key, payload, attempt, fence, created_at"

KeyOf = tuple[str, str, str, str]


class RequestRows:
    """See ``metaqore.requests.ports.RequestRows``."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self._db = database
        self._connection = connection
        #: Organization → ``counters.gate``, for those whose requests were confirmed.
        self.gates: dict[str, int] = {}

    def _all(self, sql: str, *values: Any) -> Sequence[Any]:
        return self._connection.exec_driver_sql(self._db.sql(sql), values).fetchall()

    def peek(
        self, queue: str, kinds: Sequence[str], after: int, limit: int, *, now: int, but: Collection[str]
    ) -> list[OpenRequest]:
        """Return open requests by rising ``seq``; one that only waits for its own time is left out where none waits
        for it."""
        rows = self._all(
            f"SELECT {_COLUMNS}, state, available_at, lease_until FROM requests "
            f"WHERE queue = ? AND {_OPEN} AND seq > ? AND kind IN ({placeholders(len(kinds))}) "
            "AND (ordering_key IS NOT NULL OR (available_at <= ? AND (state = 'accepted' OR lease_until <= ?))) "
            f"{f'AND (ordering_key IS NULL OR ordering_key NOT IN ({placeholders(len(but))})) ' if but else ''}"
            # A number of ours. SQLite plans by the value of a bound LIMIT, so it would prepare again for every look.
            f"ORDER BY seq LIMIT {limit:d}",
            queue, after, *kinds, now, now, *but,
        )  # fmt: skip
        return [
            OpenRequest(request=request, state=_STATES[row[12]], available_at=row[13], lease_until=row[14])
            for request, row in zip(self._requests(rows), rows, strict=True)
        ]

    def open_by_id(self, ids: Sequence[str]) -> list[Request]:
        """Return those of ``ids`` that are not terminal."""
        if not ids:
            return []
        rows = self._all(f"SELECT {_COLUMNS} FROM requests WHERE {_OPEN} AND id IN ({placeholders(len(ids))})", *ids)
        return self._requests(rows)

    def _requests(self, rows: Sequence[Any]) -> list[Request]:
        payloads = open_payloads(self._db, self._connection, [row[8] for row in rows])
        return [_request(row, payload) for row, payload in zip(rows, payloads, strict=True)]

    def confirm(self, queue: str, batch: Sequence[Request]) -> list[Request]:
        """Return those of ``batch`` that nobody else has claimed since ``peek``; they are ours until the commit.

        SQLite has one writer, so looking is enough. On PostgreSQL an advisory lock for each ordering key keeps two
        workers from deciding the same key at once, and row locks keep them from the same request.
        """
        if not batch:
            return []
        held: set[str] | None = None
        suffix = ""
        if not self._db.is_sqlite:
            keys = sorted({request.ordering_key for request in batch if request.ordering_key is not None})
            held = {
                row[0]
                for row in self._all(
                    "SELECT k FROM unnest(?::text[]) AS k WHERE pg_try_advisory_xact_lock(hashtextextended(k, 7))", keys
                )
            }
            suffix = " FOR UPDATE SKIP LOCKED"
        numbers = [request.seq for request in batch]
        if max(numbers) - min(numbers) < 2 * len(numbers):
            # Neighbours, as a rule: then a range is cheaper than a list.
            chosen, numbers = "seq BETWEEN ? AND ?", [min(numbers), max(numbers)]
        else:
            chosen = f"seq IN ({placeholders(len(numbers))})"
        organization = batch[0].organization
        # How policies and stops stand, asked along with what has to be asked anyway.
        gate = "(SELECT gate FROM counters WHERE organization = ?)"
        rows = self._all(
            f"SELECT seq, fence, {gate} FROM requests WHERE queue = ? AND {_OPEN} AND {chosen}{suffix}",
            organization, queue, *numbers,
        )  # fmt: skip
        if rows and rows[0][2] is not None:
            self.gates[organization] = rows[0][2]
        fences = dict(row[:2] for row in rows)
        mine = []
        # What comes later under a key must not overtake the one that we could not get.
        waiting: set[str] = set()
        for request in batch:
            key = request.ordering_key
            free = key is None or (key not in waiting and (held is None or key in held))
            if free and fences.get(request.seq) == request.fence:
                mine.append(request)
            elif key is not None:
                waiting.add(key)
        return mine

    def insert(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert accepted requests, their payloads sealed under the keys of their data subjects."""
        owners = [(row[1], row[11] or row[3]) for row in rows]
        payloads = [(row[12], row[7], row[13]) for row in rows]
        sealed = seal_payloads(self._db, self._connection, owners, payloads)
        _insert(self._connection, [(*row[:7], text, *row[8:12]) for row, text in zip(rows, sealed, strict=True)])

    def lease(self, batch: Sequence[Request], owner: str, until: int) -> None:
        """Mark as running; ``batch`` carries the attempt and fence that were raised by one."""
        _lease(self._connection, [(r.attempt, r.fence, owner, until, r.seq, r.fence - 1) for r in batch])

    def extend(self, batch: Sequence[Request], until: int) -> int:
        """Extend the leases that are still ours; return how many."""
        extended = _extend(self._connection, [(until, r.seq, r.fence) for r in batch])
        return extended.rowcount if extended is not None else 0

    def still_mine(self, batch: Sequence[Request]) -> list[Request]:
        """Return those that still run under the fence they were claimed with; locked until the commit."""
        if not batch:
            return []
        suffix = "" if self._db.is_sqlite else " FOR UPDATE"
        rows = self._all(
            f"SELECT seq, fence FROM requests WHERE state = 'running' AND seq IN ({placeholders(len(batch))}){suffix}",
            *(r.seq for r in batch),
        )
        fences = dict(row[:2] for row in rows)
        return [request for request in batch if fences.get(request.seq) == request.fence]

    def settle(self, rows: Sequence[Settled]) -> None:
        """Write new states.

        Raises:
            Contention: here or at the commit: a row has another fence by now, so nothing may be committed.
        """
        settled = _settle(
            self._connection,
            [
                (s.state.value, s.verdict, s.result, s.error, s.attempt, s.fence, s.available_at, s.finished_at,
                 s.seq, s.old_fence)
                for s in rows
            ],
        )  # fmt: skip
        if settled is not None:
            self._connection.before_commit(lambda: _check(settled.rowcount, len(rows)))

    def settle_by_id(self, request_id: str, row: Settled) -> None:
        """Write the state of a request that was inserted in this very transaction."""
        self._connection.exec_driver_sql(
            self._db.sql(
                "UPDATE requests SET state = ?, verdict = ?, result = ?, error = ?, attempt = ?, fence = ?, "
                "finished_at = ? WHERE id = ?"
            ),
            (row.state.value, row.verdict, row.result, row.error, row.attempt, row.fence, row.finished_at, request_id),
        )

    def result_of(self, request_id: str) -> dict[str, Any]:
        """Return the stored result of a request, for an idempotent replay."""
        found = self._all("SELECT result FROM requests WHERE id = ?", request_id)
        return _decode(found[0][0]) if found and found[0][0] else {}

    def find_keys(self, keys: Sequence[KeyOf]) -> Mapping[KeyOf, tuple[str, list[str]]]:
        """Return (organization, principal, route, key) → (fingerprint, request ids) for the keys that exist."""
        found: dict[KeyOf, tuple[str, list[str]]] = {}
        for chunk in chunks(keys, 64):
            where = " OR ".join(["(organization = ? AND principal = ? AND route = ? AND key = ?)"] * len(chunk))
            for row in self._all(
                f"SELECT organization, principal, route, key, fingerprint, requests FROM idempotency WHERE {where}",
                *(part for key in chunk for part in key),
            ):
                found[(row[0], row[1], row[2], row[3])] = (row[4], msgspec.json.decode(row[5]))
        return found

    def insert_keys(self, rows: Sequence[tuple[str, str, Idempotency, list[str], int]]) -> None:
        """Insert idempotency keys; an existing one raises Contention at the latest at the commit."""
        _insert_key(
            self._connection,
            [
                (organization, principal, key.route, key.key, key.fingerprint, msgspec.json.encode(ids).decode(), at)
                for organization, principal, key, ids, at in rows
            ],
        )

    def next_numbers(self, wanted: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
        """Reserve gapless numbers: organization → (n audit, n events); returns the first of each."""
        first = {}
        for organization, (audits, events) in wanted.items():
            row = self._connection.exec_driver_sql(
                self._db.sql(
                    "INSERT INTO counters (organization, audit_seq, event_seq) VALUES (?, ?, ?) "
                    "ON CONFLICT (organization) DO UPDATE SET audit_seq = counters.audit_seq + excluded.audit_seq, "
                    "event_seq = counters.event_seq + excluded.event_seq RETURNING audit_seq, event_seq"
                ),
                (organization, audits, events),
            ).one()
            first[organization] = (row[0] - audits + 1, row[1] - events + 1)
        return first


def _check(changed: int, wanted: int) -> None:
    if changed != wanted:
        raise Contention(f"{wanted - changed} of {wanted} requests were claimed by another worker")


def _request(row: Sequence[Any], payload: dict[str, Any]) -> Request:
    return Request(
        seq=row[0], id=row[1], organization=row[2], project=row[3], principal=row[4], kind=row[5], queue=row[6],
        ordering_key=row[7], payload=payload, attempt=row[9], fence=row[10], created_at=row[11],
    )  # fmt: skip
