"""Appends to the audit log."""

from __future__ import annotations

from collections.abc import Sequence

from metaqore.audit.entry import Entry
from metaqore.store.bulk import BulkInsert
from metaqore.store.connection import Connection
from metaqore.store.tables.audit import audit_entries

_insert = BulkInsert(audit_entries, "organization seq tag actor project request_id ts_ms body leaf_hash", utf8=["body"])


def append(
    connection: Connection,
    organization: str,
    entries: Sequence[tuple[Entry, str, str | None, str | None, int]],
) -> None:
    """Append (entry, actor, project, request id, time) rows."""
    _insert(
        connection,
        [
            (organization, entry.seq, entry.tag, actor, project, request_id, at, entry.body, entry.leaf_hash)
            for entry, actor, project, request_id, at in entries
        ],
    )
