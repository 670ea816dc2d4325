"""Patterns and specialists, and the ledger of model calls as they learn from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from metaqore.errors import Contention, InvalidInput
from metaqore.hmcp import effects
from metaqore.hmcp.artefact import Artefact
from metaqore.hmcp.model import TaskEvent
from metaqore.llm.assemble import assemble
from metaqore.llm.model import GenerateCommand
from metaqore.messages import Write
from metaqore.store.bulk import BulkInsert, BulkUpdate
from metaqore.store.connection import Connection
from metaqore.store.engine import Database
from metaqore.store.repositories import specialists as duty
from metaqore.store.repositories.llm import LlmRows
from metaqore.store.repositories.specialists import SpecialistRows
from metaqore.store.rows import many, one
from metaqore.store.tables.hmcp import patterns, specialists

_move = BulkUpdate(patterns, "state updated_at", "id organization")
_specialist = BulkInsert(
    specialists, "id organization pattern version state manifest gate weights digest request_id created_at"
)


class HmcpRows(SpecialistRows):
    """See ``metaqore.hmcp.handlers.PatternReads`` and, outside of transactions, ``Source``."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self._db = database
        self._connection = connection

    def pattern_row(self, organization: str, pattern: str) -> dict[str, Any] | None:
        """Return a pattern's row."""
        sql = "SELECT * FROM patterns WHERE id = ? AND organization = ?"
        return one(self._db, self._connection, sql, (pattern, organization))

    def patterns(self, organization: str) -> dict[str, dict[str, Any]]:
        """Return signature key → row of every known pattern."""
        rows = many(self._db, self._connection, "SELECT * FROM patterns WHERE organization = ?", (organization,))
        return {row["signature"]: row for row in rows}

    def champion(self, pattern: str) -> tuple[int, Artefact | None]:
        """Return the highest version of a pattern's specialists, and the active one's artefact."""
        sql = "SELECT version, state, manifest, weights FROM specialists WHERE pattern = ? ORDER BY version DESC"
        rows = many(self._db, self._connection, sql, (pattern,))
        active = [row for row in rows if row["state"] == "active"]
        artefact = Artefact(active[0]["manifest"].encode(), bytes(active[0]["weights"])) if active else None
        return (rows[0]["version"] if rows else 0), artefact

    def events(self, organization: str, since: int, limit: int) -> list[TaskEvent]:
        """Return the latest recorded calls, oldest first; what cannot be read any more is left out."""
        rows = LlmRows(self._db, self._connection).settled(organization, since, limit)
        return [event for row in rows if (event := _event(organization, row)) is not None]


def _event(organization: str, row: dict[str, Any]) -> TaskEvent | None:
    try:
        command = GenerateCommand.from_json(msgspec.json.decode(row["command"]))
        assembled = assemble(command)
    except InvalidInput:
        return None
    return TaskEvent(
        organization=organization,
        agent=command.agent_name or row["principal"],
        template=assembled.template_key,
        prompt=assembled.text,
        output=str(msgspec.json.decode(row["response"])["text"]),
        tokens=row["prompt_tokens"] + row["completion_tokens"],
        label=row["label"],
        at=row["settled_at"],
        project=row["project"],
    )


def _unless_erased(
    db: Database, connection: Connection, writes: Sequence[effects.SavePattern | effects.NewSpecialist]
) -> None:
    """Raise Contention where somebody was erased since the calls were read: what was made of them is made again."""
    for organization in sorted({w.organization for w in writes}):
        if not db.is_sqlite:
            # Erasures of an organization hold this lock (``SqlTransaction.hold``), so none is under way now.
            connection.exec_driver_sql(db.sql("SELECT pg_advisory_xact_lock(hashtextextended(?, 11))"), (organization,))
        since = min(w.read_at for w in writes if w.organization == organization)
        sql = db.sql("SELECT count(*) FROM erasures WHERE organization = ? AND erased_at >= ?")
        if connection.exec_driver_sql(sql, (organization, since)).scalar_one():
            raise Contention


def _save_patterns(db: Database, connection: Connection, writes: Sequence[effects.SavePattern]) -> None:
    _unless_erased(db, connection, writes)
    sql = db.sql(
        "INSERT INTO patterns (id, organization, signature, state, support, body, request_id, created_at, updated_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (organization, signature) DO UPDATE SET "
        "state = excluded.state, support = excluded.support, body = excluded.body, updated_at = excluded.updated_at"
    )
    for w in writes:
        connection.exec_driver_sql(
            sql, (w.id, w.organization, w.signature, w.state, w.support, w.body, w.request_id, w.at, w.at)
        )


def _move_patterns(_db: Database, connection: Connection, writes: Sequence[effects.MovePattern]) -> None:
    for w in writes:
        _move(connection, [(w.state, w.at, w.id, w.organization)])


def _new_specialists(db: Database, connection: Connection, writes: Sequence[effects.NewSpecialist]) -> None:
    _unless_erased(db, connection, writes)
    _specialist(
        connection,
        [
            (w.id, w.organization, w.pattern, w.version, w.state, w.manifest, w.gate, w.weights, w.digest,
             w.request_id, w.at)
            for w in writes
        ],
    )  # fmt: skip


WRITERS: dict[type[Write], Callable[[Database, Connection, Sequence[Any]], None]] = {
    effects.SavePattern: _save_patterns,
    effects.MovePattern: _move_patterns,
    effects.NewSpecialist: _new_specialists,
    **duty.WRITERS,
}
