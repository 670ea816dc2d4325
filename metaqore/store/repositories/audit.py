"""Appends to the audit log, and what its sequencer reads and stores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metaqore.audit.entry import Entry
from metaqore.audit.ports import Lease, Sealing, Unsealed
from metaqore.audit.seal import Tile
from metaqore.store.bulk import BulkInsert
from metaqore.store.connection import Connection
from metaqore.store.engine import Database
from metaqore.store.tables.audit import audit_checkpoints, audit_entries

_insert = BulkInsert(audit_entries, "organization seq tag actor project request_id ts_ms body leaf_hash")
_checkpoint = BulkInsert(audit_checkpoints, "organization size note sealed_at")


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


class AuditRows:
    """See ``metaqore.audit.ports.SealerRows``."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self._db = database
        self._connection = connection

    def _all(self, sql: str, *values: Any) -> Sequence[Any]:
        return self._connection.exec_driver_sql(self._db.sql(sql), values).fetchall()

    def lease(self, name: str) -> Lease:
        """Return a lease as it stands."""
        rows = self._all("SELECT owner, fence, until FROM leases WHERE name = ?", name)
        return Lease(*rows[0]) if rows else Lease("", 0, 0)

    def claim(self, name: str, owner: str, fence: int, until: int) -> bool:
        """Take the lease where its fence still is ``fence``; on PostgreSQL the row stays locked until the commit."""
        if fence == 0:
            sql = "INSERT INTO leases (name, owner, fence, until) VALUES (?, ?, 1, ?) ON CONFLICT (name) DO NOTHING"
            values: tuple[Any, ...] = (name, owner, until)
        else:
            sql = "UPDATE leases SET owner = ?, fence = fence + 1, until = ? WHERE name = ? AND fence = ?"
            values = (owner, until, name, fence)
        return self._connection.exec_driver_sql(self._db.sql(sql), values).rowcount == 1

    def unsealed(self, limit: int) -> list[Unsealed]:
        """Return the logs with entries that no checkpoint covers: the counter is raised with the entries."""
        rows = self._all(
            "SELECT organization, audit_seq, sealed FROM (SELECT c.organization, c.audit_seq, "
            "(SELECT max(k.size) FROM audit_checkpoints k WHERE k.organization = c.organization) AS sealed "
            "FROM counters c WHERE c.audit_seq > 0) AS found WHERE sealed IS NULL OR sealed < audit_seq LIMIT ?",
            limit,
        )
        return [Unsealed(*row) for row in rows]

    def last_sealings(self) -> list[Sealing]:
        """Return the newest checkpoint of every log."""
        rows = self._all(
            "SELECT k.organization, k.size, k.note, k.sealed_at FROM counters c JOIN audit_checkpoints k "
            "ON k.organization = c.organization AND k.size = "
            "(SELECT max(size) FROM audit_checkpoints m WHERE m.organization = c.organization)"
        )
        return [Sealing(*row) for row in rows]

    def checkpoint(self, organization: str, size: int) -> str:
        """Return the signed note of that size."""
        rows = self._all("SELECT note FROM audit_checkpoints WHERE organization = ? AND size = ?", organization, size)
        return str(rows[0][0])

    def tile(self, organization: str, level: int, index: int) -> bytes:
        """Return a stored tile, empty where there is none."""
        sql = "SELECT hashes FROM audit_tiles WHERE organization = ? AND level = ? AND tile_index = ?"
        rows = self._all(sql, organization, level, index)
        return bytes(rows[0][0]) if rows else b""

    def leaves(self, organization: str, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Return (sequence number, leaf hash) of the entries after ``after``, in order."""
        rows = self._all(
            "SELECT seq, leaf_hash FROM audit_entries WHERE organization = ? AND seq > ? ORDER BY seq LIMIT ?",
            organization, after, limit,
        )  # fmt: skip
        return [(row[0], bytes(row[1])) for row in rows]

    def save_tiles(self, organization: str, tiles: Sequence[Tile]) -> None:
        """Store tiles, in place of those there are."""
        sql = self._db.sql(
            "INSERT INTO audit_tiles (organization, level, tile_index, hashes) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (organization, level, tile_index) DO UPDATE SET hashes = excluded.hashes"
        )
        rows = [(organization, tile.level, tile.index, tile.hashes) for tile in tiles]
        if rows:
            self._connection.exec_driver_sql(sql, rows)

    def save_checkpoints(self, sealings: Sequence[Sealing]) -> None:
        """Store checkpoints; one of a size that is there already hits the primary key."""
        _checkpoint(self._connection, sealings)

    def save_keys(self, vkeys: Sequence[str], at: int) -> None:
        """Store the verifier keys that are new."""
        sql = self._db.sql("INSERT INTO audit_keys (vkey, created_at) VALUES (?, ?) ON CONFLICT (vkey) DO NOTHING")
        for vkey in vkeys:
            self._connection.exec_driver_sql(sql, (vkey, at))
