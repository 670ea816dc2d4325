"""Look-ups of the audit log: entries, checkpoints, and the proofs that hold them together."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from metaqore.audit.checkpoint import parse_checkpoint
from metaqore.audit.merkle import consistency_proof, inclusion_proof
from metaqore.audit.receipt import Receipt
from metaqore.errors import InvalidInput, NotFound
from metaqore.store.repositories.audit import AuditRows
from metaqore.store.views.lookup import Lookup, Page, Row

_ENTRY = "seq, tag, actor, project, request_id, ts_ms, body, leaf_hash"
#: How many entries are looked through for one page, so that a narrow filter cannot hold a connection.
_SCAN = 20_000
#: Entries of one request that its receipt names; the deliveries of its events come after what was decided.
_MOST_RECEIPTS = 64


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What was recorded of one request: (sequence number, tag, leaf hash as hex), and the first checkpoint over it."""

    entries: list[tuple[int, str, str]]
    #: The signed note, None until all of it is sealed.
    checkpoint: str | None

    def shown(self) -> dict[str, Any]:
        """Return it as callers see it."""
        entries = [{"seq": seq, "tag": tag, "leaf_hash": leaf} for seq, tag, leaf in self.entries]
        return {"entries": entries, "checkpoint": self.checkpoint}


class AuditViews(Lookup):
    """Look-ups of one organization's log."""

    def entries(
        self,
        organization: str,
        *,
        tag: str | None,
        actor: str | None,
        project: str | None,
        request: str | None,
        as_of: int | None,
        after: int | None,
        limit: int,
    ) -> Page:
        """Return entries in their order, above the number ``after``; those dated after ``as_of`` (ms) are left out.

        Args:
            tag: the whole tag, or the beginning of it with ``*`` at the end.
        """
        start = after or 0
        where, values = ["organization = ?", "seq > ?"], [organization, start]
        if request is None:
            # By request there is an index; everything else is looked through, so far and no further.
            where.append("seq <= ?")
            values.append(start + _SCAN)
        if tag is not None and tag.endswith("*"):
            where.append("substr(tag, 1, ?) = ?")
            values += [len(tag) - 1, tag[:-1]]
            tag = None
        given = {"tag": tag, "actor": actor, "project": project, "request_id": request}
        for column, value in given.items():
            if value is not None:
                where.append(f"{column} = ?")
                values.append(value)
        if as_of is not None:
            where.append("ts_ms <= ?")
            values.append(as_of)
        sql = f"SELECT {_ENTRY} FROM audit_entries WHERE {' AND '.join(where)} ORDER BY seq LIMIT ?"
        rows = self.rows(sql, [*values, limit + 1])
        if len(rows) > limit:
            return Page([_shown(row) for row in rows[:limit]], rows[limit - 1]["seq"])
        seen = start + _SCAN
        last = seen if request is None and seen < self.size(organization) else None
        return Page([_shown(row) for row in rows], last)

    def size(self, organization: str) -> int:
        """Return how many entries the log has."""
        row = self.row("SELECT audit_seq FROM counters WHERE organization = ?", (organization,))
        return int(row["audit_seq"]) if row else 0

    def checkpoints(self, organization: str, *, after: int | None, limit: int) -> Page:
        """Return signed checkpoints, the newest first."""
        return self.page(
            "size, note, sealed_at", "audit_checkpoints", {"organization": organization}, key="size", after=after,
            limit=limit, descending=True,
        )  # fmt: skip

    def verifier_keys(self) -> list[Row]:
        """Return the verifier keys that ever signed here, the oldest first."""
        return self.rows("SELECT vkey, created_at FROM audit_keys ORDER BY created_at, vkey")

    def evidence(self, organization: str, request: str) -> Evidence:
        """Return what was recorded of a request."""
        rows = self.rows(
            "SELECT seq, tag, leaf_hash FROM audit_entries WHERE organization = ? AND request_id = ? "
            "AND tag NOT LIKE 'delivery:%' ORDER BY seq LIMIT ?",
            (organization, request, _MOST_RECEIPTS),
        )
        found = [(row["seq"], row["tag"], bytes(row["leaf_hash"]).hex()) for row in rows]
        note = self._covering(organization, found[-1][0]) if found else None
        return Evidence(entries=found, checkpoint=note)

    def proof(self, organization: str, seq: int) -> Receipt:
        """Return the receipt of an entry against the newest checkpoint.

        Raises:
            NotFound: there is no such entry, or it is not sealed yet.
        """
        with self._db.read() as connection:
            rows = AuditRows(self._db, connection)
            found = rows.leaves(organization, seq - 1, 1) if seq > 0 else []
            note = self._newest(organization) if found and found[0][0] == seq else None
            size = parse_checkpoint(note).size if note is not None else 0
            if note is None or size < seq:
                raise NotFound(f"there is no sealed audit entry {seq}; a new one is sealed within a second")
            proof = inclusion_proof(seq - 1, size, partial(rows.tile, organization))
        return Receipt(seq, found[0][1], tuple(proof), note)

    def proof_at(self, organization: str, seq: int, size: int) -> Receipt | None:
        """Return the receipt of an entry in the log of its first ``size`` entries, without a checkpoint; None where
        there are not so many sealed entries.

        Args:
            seq: 1 to ``size``.
        """
        with self._db.read() as connection:
            rows = AuditRows(self._db, connection)
            found = rows.leaves(organization, seq - 1, 1)
            if not found or found[0][0] != seq:
                return None
            try:
                proof = inclusion_proof(seq - 1, size, partial(rows.tile, organization))
            except InvalidInput:
                return None
        return Receipt(seq, found[0][1], tuple(proof), "")

    def consistency(self, organization: str, old: int) -> tuple[str, list[bytes]]:
        """Return the newest checkpoint and the proof that its log begins with the first ``old`` entries.

        Raises:
            NotFound: nothing is sealed yet.
            InvalidInput: fewer entries than ``old`` are.
        """
        note = self._newest(organization)
        if note is None:
            raise NotFound("nothing is sealed yet")
        size = parse_checkpoint(note).size
        if old > size:
            raise InvalidInput(f"old: {old} entries, but only {size} are sealed")
        with self._db.read() as connection:
            reader = partial(AuditRows(self._db, connection).tile, organization)
            return note, consistency_proof(old, size, reader)

    def _newest(self, organization: str) -> str | None:
        sql = "SELECT note FROM audit_checkpoints WHERE organization = ? ORDER BY size DESC LIMIT 1"
        row = self.row(sql, (organization,))
        return None if row is None else str(row["note"])

    def _covering(self, organization: str, seq: int) -> str | None:
        sql = "SELECT note FROM audit_checkpoints WHERE organization = ? AND size >= ? ORDER BY size LIMIT 1"
        row = self.row(sql, (organization, seq))
        return None if row is None else str(row["note"])


def _shown(row: Row) -> dict[str, Any]:
    return {
        "seq": row["seq"], "tag": row["tag"], "ts": row["ts_ms"], "leaf_hash": bytes(row["leaf_hash"]).hex(),
        "entry": msgspec.Raw(bytes(row["body"])),
    }  # fmt: skip
