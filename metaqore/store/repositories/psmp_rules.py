"""Look-ups that lifecycles, aliases and bounds need inside the deciding transaction, and what they write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from metaqore.errors import NotFound
from metaqore.messages import Write
from metaqore.psmp.effects import CountTurn, SetAlias, SetDepth
from metaqore.store.bulk import BulkInsert, BulkUpdate, placeholders
from metaqore.store.connection import Connection
from metaqore.store.engine import Database
from metaqore.store.rows import many
from metaqore.store.tables import psmp as t

_alias = BulkInsert(t.artifact_aliases, "artifact alias position version set_by set_at")
_depth = BulkUpdate(t.artifacts, "depth", "id")


class RuleRows:
    """A part of ``metaqore.psmp.ports.PsmpReads``; the rest of it is in ``repositories.psmp``."""

    _db: Database
    _connection: Connection

    def _found(self, sql: str, values: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
        return many(self._db, self._connection, sql, values)

    def task_states(self, project: str, ids: Collection[str]) -> Mapping[str, str]:
        """Return the states of those of ``ids`` that are tasks of the project."""
        if not ids:
            return {}
        rows = self._found(
            f"SELECT id, state FROM tasks WHERE project = ? AND id IN ({placeholders(len(ids))})", [project, *ids]
        )
        return {row["id"]: row["state"] for row in rows}

    def task_not_in(self, project: str, states: Collection[str]) -> str | None:
        """Return a task of the project that is in none of ``states``; None where there is none."""
        rows = self._found(
            f"SELECT id FROM tasks WHERE project = ? AND state NOT IN ({placeholders(len(states))}) LIMIT 1",
            [project, *sorted(states)],
        )
        return rows[0]["id"] if rows else None

    def open_conflict(self, project: str, artifact: str | None = None) -> str | None:
        """Return an unresolved conflict of a project, or of one artifact of it; None where there is none."""
        # Unresolved conflicts are those of blocked proposals, which have a small index of their own.
        rows = self._found(
            "SELECT c.id FROM proposals p JOIN conflicts c ON c.proposal = p.id WHERE p.state = 'blocked' "
            "AND c.state IN ('open', 'escalated') AND p.project = ? " + ("AND p.artifact = ? " if artifact else "")
            + "LIMIT 1",
            [project, *([artifact] if artifact else [])],
        )  # fmt: skip
        return rows[0]["id"] if rows else None

    def content_text(self, artifact: str, version: int) -> str:
        """Return the content of a version as it is stored."""
        rows = self._found(
            "SELECT content FROM artifact_versions WHERE artifact = ? AND version = ?", (artifact, version)
        )  # fmt: skip
        if not rows:
            raise NotFound(f"artifact {artifact} has no version {version}")
        return str(rows[0]["content"])

    def aliases(self, artifact: str) -> Mapping[str, int]:
        """Return the aliases of an artifact that were set."""
        rows = self._found(
            "SELECT alias, version FROM artifact_aliases WHERE artifact = ? ORDER BY position", (artifact,)
        )  # fmt: skip
        last = {row["alias"]: row["version"] for row in rows}
        return {name: version for name, version in last.items() if version is not None}

    def turns(self, conversations: Collection[tuple[str, str]]) -> list[tuple[str, str, str, int]]:
        """Return (project, conversation, principal, turns)."""
        rows = self._found(
            "SELECT project, conversation, principal, turns FROM conversations WHERE (project, conversation) IN "
            f"(VALUES {', '.join(['(?, ?)'] * len(conversations))})",
            [part for conversation in sorted(conversations) for part in conversation],
        )
        return [(row["project"], row["conversation"], row["principal"], row["turns"]) for row in rows]

    def count_blocked(self, project: str, at_most: int) -> int:
        """Return how many blocked proposals a project keeps, counted up to ``at_most``."""
        rows = self._found(
            "SELECT count(*) AS n FROM (SELECT 1 FROM proposals WHERE state = 'blocked' AND project = ? LIMIT ?) AS p",
            [project, at_most],
        )
        return int(rows[0]["n"])


def _set_depths(_db: Database, connection: Connection, writes: Sequence[SetDepth]) -> None:
    _depth(connection, [(depth, artifact) for artifact, depth in {w.artifact: w.depth for w in writes}.items()])


def _count_turns(db: Database, connection: Connection, writes: Sequence[CountTurn]) -> None:
    sql = db.sql(
        "INSERT INTO conversations (project, conversation, principal, turns) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (project, conversation, principal) DO UPDATE SET turns = conversations.turns + excluded.turns"
    )
    for key, turns in Counter((w.project, w.conversation, w.principal) for w in writes).items():
        connection.exec_driver_sql(sql, (*key, turns))


def _set_aliases(_db: Database, connection: Connection, writes: Sequence[SetAlias]) -> None:
    last = {(w.artifact, w.alias, w.position): w for w in writes}
    _alias(connection, [(*key, w.version, w.set_by, w.at) for key, w in last.items()])


WRITERS: dict[type[Write], Callable[[Database, Connection, Sequence[Any]], None]] = {
    SetAlias: _set_aliases,
    SetDepth: _set_depths,
    CountTurn: _count_turns,
}
