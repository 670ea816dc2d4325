"""Rows of approvals, and of the proposals they are about, inside the deciding transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from metaqore.messages import Write
from metaqore.psmp.approvals import Approval, OpenApproval
from metaqore.psmp.proposals import CloseApproval, Proposal
from metaqore.store.bulk import BulkInsert, BulkUpdate
from metaqore.store.connection import Connection
from metaqore.store.engine import Database
from metaqore.store.repositories import psmp_time as past
from metaqore.store.rows import many, one
from metaqore.store.sealed import open_payload
from metaqore.store.tables import psmp_approvals as a

_open = BulkInsert(
    a.approvals,
    "id organization project subject_kind subject content_hash base needed_scope reason state author requested_by "
    "expires_at created_at position",
)
_close = BulkUpdate(a.approvals, "state answered_by answer answered_at", "id")

_COLUMNS = (
    "id, organization, project, subject_kind, subject, content_hash, base, needed_scope, reason, state, author, "
    "requested_by, expires_at"
)
_decode = msgspec.json.decode


class ApprovalRows:
    """See ``metaqore.psmp.approvals.ApprovalReads``; the rest of it is in ``repositories.psmp``."""

    _db: Database
    _connection: Connection

    def proposal(self, organization: str, proposal: str) -> Proposal | None:
        """Return a proposal with the payload of its request and its unresolved conflicts."""
        row = one(
            self._db, self._connection,
            "SELECT p.id, p.organization, p.project, p.type, p.name, p.state, p.created_by, p.request_id, r.payload, "
            "a.id AS approval FROM proposals p JOIN requests r ON r.id = p.request_id "
            "LEFT JOIN approvals a ON a.organization = p.organization AND a.subject_kind = 'proposal' "
            "AND a.subject = p.id AND a.state = 'open' WHERE p.id = ? AND p.organization = ?",
            (proposal, organization),
        )  # fmt: skip
        if row is None:
            return None
        conflicts = many(
            self._db, self._connection,
            "SELECT id, class, evidence FROM conflicts WHERE proposal = ? AND state IN ('open', 'escalated') "
            "ORDER BY id", (proposal,),
        )  # fmt: skip
        return Proposal(
            id=row["id"], organization=row["organization"], project=row["project"], type=row["type"],
            name=row["name"], state=row["state"], author=row["created_by"], request=row["request_id"],
            payload=open_payload(self._db, self._connection, row["payload"]), approval=row["approval"],
            conflicts=[{**c, "evidence": _decode(c["evidence"])} for c in conflicts],
        )  # fmt: skip

    def approval(self, organization: str, approval: str) -> Approval | None:
        """Return an approval."""
        return self._approval("id = ? AND organization = ?", approval, organization)

    def open_approval(self, organization: str, subject_kind: str, subject: str) -> Approval | None:
        """Return the approval that is open for a subject."""
        where = "organization = ? AND subject_kind = ? AND subject = ? AND state = 'open'"
        return self._approval(where, organization, subject_kind, subject)

    def names_near(self, project: str, type: str, name: str, limit: int) -> list[str]:  # noqa: A002
        """Return up to ``2 * limit`` names of artifacts that sort next to ``name``, by two index look-ups."""
        found: list[str] = []
        for comparison, order in ((">=", "ASC"), ("<", "DESC")):
            rows = many(
                self._db, self._connection,
                f"SELECT name FROM artifacts WHERE project = ? AND type = ? AND name {comparison} ? "
                f"ORDER BY name {order} LIMIT ?", (project, type, name, limit),
            )  # fmt: skip
            found += [row["name"] for row in rows]
        return found

    def due_approvals(self, now: int, limit: int) -> list[tuple[str, str | None, str]]:
        """Return (organization, project, id) of the approvals that nobody answered in time, the oldest first."""
        rows = many(
            self._db, self._connection,
            "SELECT organization, project, id FROM approvals WHERE state = 'open' AND expires_at <= ? "
            "ORDER BY expires_at LIMIT ?", (now, limit),
        )  # fmt: skip
        return [(row["organization"], row["project"], row["id"]) for row in rows]

    def _approval(self, where: str, *values: str) -> Approval | None:
        row = one(self._db, self._connection, f"SELECT {_COLUMNS} FROM approvals WHERE {where}", values)
        return None if row is None else Approval(**{**row, "base": _decode(row["base"])})


def _open_approvals(_db: Database, connection: Connection, writes: Sequence[OpenApproval]) -> None:
    _open(
        connection,
        [
            (w.id, w.organization, w.project, w.subject_kind, w.subject, w.content_hash, w.base, w.needed_scope,
             w.reason, "open", w.author, w.requested_by, w.expires_at, w.at, w.position)
            for w in writes
        ],
    )  # fmt: skip


def _close_approvals(db: Database, connection: Connection, writes: Sequence[CloseApproval]) -> None:
    past.keep_approvals(db, connection, writes)
    _close(connection, [(w.state, w.by, w.answer, w.at, w.id) for w in writes])


#: What ends an approval comes before what opens the next about the same subject.
WRITERS: dict[type[Write], Callable[[Database, Connection, Sequence[Any]], None]] = {
    CloseApproval: _close_approvals,
    OpenApproval: _open_approvals,
}
