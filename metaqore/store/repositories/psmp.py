"""PSMP's rows: what its decisions write, and what they look up inside the deciding transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from metaqore.errors import Contention, NotFound
from metaqore.messages import Write
from metaqore.psmp import effects
from metaqore.psmp.model import Head, Project
from metaqore.psmp.ports import Identity
from metaqore.store.bulk import BulkInsert, BulkUpdate, chunks, placeholders
from metaqore.store.connection import Connection
from metaqore.store.engine import Database
from metaqore.store.repositories import psmp_time as past
from metaqore.store.repositories.psmp_approvals import ApprovalRows
from metaqore.store.repositories.psmp_holdings import HoldingRows
from metaqore.store.repositories.psmp_rules import RuleRows
from metaqore.store.repositories.psmp_time import PastRows
from metaqore.store.rows import one
from metaqore.store.sealed import open_payload
from metaqore.store.tables import psmp as t

_artifact = BulkInsert(
    t.artifacts,
    "id organization project type name state head content_hash label rank holds depth created_by updated_by created_at "
    "updated_at",
)
_version = BulkInsert(
    t.artifact_versions,
    "artifact version organization content content_hash label base_version body request_id created_by created_at "
    "position edges",
)
_edge = BulkInsert(t.artifact_edges, "artifact depends_on")
_head = BulkUpdate(t.artifacts, "head content_hash label holds depth updated_by updated_at", "id")
_rank = BulkUpdate(t.artifacts, "rank", "id")
_state = BulkUpdate(t.artifacts, "state updated_by updated_at", "id")
_proposal = BulkInsert(
    t.proposals, "id organization project artifact type name state request_id created_by created_at updated_at position"
)
_close = BulkUpdate(t.proposals, "state updated_at", "id")
_conflict = BulkInsert(
    t.conflicts,
    "id organization project proposal artifact request_id class rule severity strategy mode state evidence "
    "resolution resolved_by resolved_at created_at position",
)
_resolve = BulkUpdate(t.conflicts, "state resolution resolved_by resolved_at", "id")
_project = BulkInsert(
    t.projects,
    "id organization name description owner mode state metadata version created_by created_at updated_at position "
    "position_at",
)
_change_project = BulkUpdate(
    t.projects, "name description owner mode state metadata version updated_at", "id organization version"
)
_task = BulkInsert(
    t.tasks,
    "id organization project title state assigned_to depends_on metadata version created_by created_at updated_at",
)
_change_task = BulkUpdate(
    t.tasks, "title state assigned_to depends_on metadata version updated_at", "id organization version"
)

_encode = msgspec.json.Encoder().encode
_HEAD_COLUMNS = "id, project, type, name, state, head, content_hash, label, rank, created_by, updated_by, holds, depth"


class PsmpRows(ApprovalRows, HoldingRows, RuleRows, PastRows):
    """See ``metaqore.psmp.ports.PsmpReads``."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self._db = database
        self._connection = connection

    def _all(self, sql: str, values: Sequence[Any]) -> Sequence[Any]:
        return self._connection.exec_driver_sql(self._db.sql(sql), tuple(values)).fetchall()

    def projects(self, ids: Collection[str]) -> dict[str, Project]:
        """Return the projects that exist, by id."""
        if not ids:
            return {}
        rows = self._all(
            "SELECT id, organization, mode, state, (SELECT max(i.expires_at) FROM intents i "
            "WHERE i.project = projects.id AND i.state = 'open') "
            f"FROM projects WHERE id IN ({placeholders(len(ids))})",
            [*ids],
        )
        return {r[0]: Project(id=r[0], organization=r[1], mode=r[2], state=r[3], intents_until=r[4] or 0) for r in rows}

    def heads(self, identities: Collection[Identity], ids: Collection[str]) -> list[Head]:
        """Return the artifacts that exist under these identities or ids."""
        rows: list[Any] = []
        wanted = sorted(identities)
        if wanted and not self._db.is_sqlite:
            rows += self._all(
                f"SELECT {_HEAD_COLUMNS} FROM artifacts JOIN unnest(?::text[], ?::text[], ?::text[]) AS w(p, t, n) "
                "ON project = w.p AND type = w.t AND name = w.n",
                [list(column) for column in zip(*wanted, strict=True)],
            )
        else:
            for chunk in chunks(wanted, 256):
                rows += self._all(
                    f"SELECT {_HEAD_COLUMNS} FROM artifacts WHERE (project, type, name) IN "
                    f"(VALUES {', '.join(['(?, ?, ?)'] * len(chunk))})",
                    [part for identity in chunk for part in identity],
                )
        keys = sorted(ids)
        for part in chunks(keys, 512):
            rows += self._all(f"SELECT {_HEAD_COLUMNS} FROM artifacts WHERE id IN ({placeholders(len(part))})", part)
        return [_as_head(row) for row in rows]

    def heads_after(self, organization: str, after: str, limit: int) -> list[tuple[Head, int]]:
        """Return artifacts of an organization by rising id, each with when it was last changed."""
        rows = self._all(
            f"SELECT {_HEAD_COLUMNS}, updated_at FROM artifacts WHERE organization = ? AND id > ? ORDER BY id LIMIT ?",
            (organization, after, limit),
        )
        return [(_as_head(row), row[13]) for row in rows]

    def answered_by(self, organization: str, provider: str, calls: Sequence[str]) -> set[str]:
        """Return those of ``calls`` (ids of model calls, or of their requests) that a provider was asked."""
        found: set[str] = set()
        for start in range(0, len(calls), 200):
            some = calls[start : start + 200]
            marks = placeholders(len(some))
            sql = (
                "SELECT id, request_id FROM llm_calls WHERE organization = ? AND provider = ? "
                f"AND (id IN ({marks}) OR request_id IN ({marks}))"
            )
            found.update(name for row in self._all(sql, (organization, provider, *some, *some)) for name in row)
        return found

    def movers(self, artifact: str, after: int) -> list[str]:
        """Return who made the versions after ``after``."""
        return [
            r[0]
            for r in self._all(
                "SELECT created_by FROM artifact_versions WHERE artifact = ? AND version > ? ORDER BY version",
                (artifact, after),
            )
        ]

    def content(self, artifact: str, version: int) -> Any:
        """Return the content of a version, decoded."""
        rows = self._all(
            "SELECT content FROM artifact_versions WHERE artifact = ? AND version = ?", (artifact, version)
        )
        if not rows:
            raise NotFound(f"artifact {artifact} has no version {version}")
        return msgspec.json.decode(rows[0][0])

    def body(self, artifact: str, version: int) -> dict[str, Any]:
        """Return what a version keeps beside its content."""
        rows = self._all("SELECT body FROM artifact_versions WHERE artifact = ? AND version = ?", (artifact, version))
        if not rows:
            raise NotFound(f"artifact {artifact} has no version {version}")
        return msgspec.json.decode(rows[0][0], type=dict[str, Any])

    def down(self, artifacts: Collection[str]) -> Iterable[tuple[str, str, int]]:
        """Return (artifact, dependency, rank of the dependency)."""
        return self._edges("e.artifact", "e.depends_on", artifacts)

    def up(self, artifacts: Collection[str]) -> Iterable[tuple[str, str, int]]:
        """Return (artifact, dependant, rank of the dependant)."""
        return self._edges("e.depends_on", "e.artifact", artifacts)

    def _edges(self, here: str, there: str, artifacts: Collection[str]) -> list[tuple[str, str, int]]:
        ids = list(artifacts)
        rows: list[Any] = []
        for part in chunks(ids, 512):
            rows += self._all(
                f"SELECT {here}, {there}, a.rank FROM artifact_edges e JOIN artifacts a ON a.id = {there} "
                f"WHERE {here} IN ({placeholders(len(part))})",
                part,
            )
        return [(r[0], r[1], r[2]) for r in rows]

    def conflict(self, organization: str, conflict: str) -> Mapping[str, Any] | None:
        """Return a conflict with its proposal and the payload of the blocked request."""
        rows = self._all(
            "SELECT c.project, c.proposal, c.state, c.resolution, p.created_by, r.payload FROM conflicts c "
            "JOIN proposals p ON p.id = c.proposal JOIN requests r ON r.id = p.request_id "
            "WHERE c.id = ? AND c.organization = ?",
            (conflict, organization),
        )
        if not rows:
            return None
        names = ("project", "proposal", "state", "resolution", "created_by", "payload")
        found = dict(zip(names, rows[0], strict=True))
        found["payload"] = open_payload(self._db, self._connection, found["payload"])
        return found

    def open_conflicts(self, proposal: str) -> list[str]:
        """Return the ids of the unresolved conflicts of a proposal."""
        rows = self._all(
            "SELECT id FROM conflicts WHERE proposal = ? AND state IN ('open', 'escalated') ORDER BY id", (proposal,)
        )
        return [r[0] for r in rows]

    def project_row(self, organization: str, project: str) -> Mapping[str, Any] | None:
        """Return a whole project."""
        return self._row("projects", organization, project)

    def task_row(self, organization: str, task: str) -> Mapping[str, Any] | None:
        """Return a whole task."""
        return self._row("tasks", organization, task)

    def _row(self, table: str, organization: str, key: str) -> Mapping[str, Any] | None:
        sql = f"SELECT * FROM {table} WHERE id = ? AND organization = ?"
        return one(self._db, self._connection, sql, (key, organization))

    def tasks_exist(self, project: str, ids: Collection[str]) -> set[str]:
        """Return those of ``ids`` that are tasks of the project."""
        if not ids:
            return set()
        rows = self._all(
            f"SELECT id FROM tasks WHERE project = ? AND id IN ({placeholders(len(ids))})", [project, *ids]
        )
        return {r[0] for r in rows}


def _as_head(r: Sequence[Any]) -> Head:
    return Head(
        id=r[0], project=r[1], type=r[2], name=r[3], state=r[4], head=r[5], content_hash=r[6], label=r[7],
        rank=r[8], created_by=r[9], updated_by=r[10], holds=r[11], depth=r[12],
    )  # fmt: skip


def _new_artifacts(_db: Database, connection: Connection, writes: Sequence[effects.NewArtifact]) -> None:
    last = {w.id: w for w in writes}
    _artifact(
        connection,
        [
            (w.id, w.organization, w.project, w.type, w.name, w.state, w.head, w.content_hash, w.label, w.rank,
             w.holds, w.depth, w.created_by, w.created_by, w.at, w.at)
            for w in last.values()
        ],
    )  # fmt: skip


def _move_heads(_db: Database, connection: Connection, writes: Sequence[effects.MoveHead]) -> None:
    # One row may move twice in a batch; a statement over arrays would take either of them.
    last = {w.id: w for w in writes}
    _head(connection, [
        (w.head, w.content_hash, w.label, w.holds, w.depth, w.updated_by, w.at, w.id) for w in last.values()
    ])  # fmt: skip


def _new_versions(_db: Database, connection: Connection, writes: Sequence[effects.NewVersion]) -> None:
    _version(
        connection,
        [
            (w.artifact, w.version, w.organization, w.content, w.content_hash, w.label, w.base_version, w.body,
             w.request_id, w.created_by, w.at, *_place(w))
            for w in writes
        ],
    )  # fmt: skip


def _place(version: effects.NewVersion) -> tuple[int, str | None]:
    """Return where a version has its place in history, and what it depends on."""
    position, step = version.position, version.step
    edges = step.edges.get(version.artifact) if step is not None else None
    return position, _encode(edges).decode() if edges else None


def _set_edges(db: Database, connection: Connection, writes: Sequence[effects.SetEdges]) -> None:
    last = {w.artifact: w for w in writes}
    stale = [w.artifact for w in writes if not w.fresh]
    for part in chunks(stale, 512):
        sql = f"DELETE FROM artifact_edges WHERE artifact IN ({placeholders(len(part))})"
        connection.exec_driver_sql(db.sql(sql), tuple(part))
    _edge(connection, [(w.artifact, dependency) for w in last.values() for dependency in w.depends_on])


def _set_ranks(_db: Database, connection: Connection, writes: Sequence[effects.SetRank]) -> None:
    _rank(connection, [(rank, artifact) for artifact, rank in {w.artifact: w.rank for w in writes}.items()])


def _set_states(db: Database, connection: Connection, writes: Sequence[effects.SetArtifactState]) -> None:
    past.keep_artifact_states(db, connection, writes)
    last = {w.artifact: w for w in writes}
    _state(connection, [(w.state, w.updated_by, w.at, w.artifact) for w in last.values()])


def _new_proposals(_db: Database, connection: Connection, writes: Sequence[effects.NewProposal]) -> None:
    _proposal(
        connection,
        [
            (w.id, w.organization, w.project, w.artifact, w.type, w.name, "blocked", w.request_id, w.created_by, w.at,
             w.at, w.position)
            for w in writes
        ],
    )  # fmt: skip


def _close_proposals(db: Database, connection: Connection, writes: Sequence[effects.CloseProposal]) -> None:
    past.keep_proposals(db, connection, writes)
    _close(connection, [(w.state, w.at, w.id) for w in writes])


def _new_conflicts(_db: Database, connection: Connection, writes: Sequence[effects.NewConflict]) -> None:
    _conflict(
        connection,
        [
            (w.id, w.organization, w.project, w.proposal, w.artifact, w.request_id, w.rule.conflict_class, w.rule.id,
             w.rule.severity.value, w.rule.strategy.value, w.mode, w.state, w.evidence, w.resolution, w.resolved_by,
             None if w.state == "open" else w.at, w.at, w.position)
            for w in writes
        ],
    )  # fmt: skip


def _resolve_conflicts(db: Database, connection: Connection, writes: Sequence[effects.ResolveConflicts]) -> None:
    past.keep_conflicts(db, connection, writes)
    _resolve(
        connection,
        [
            (w.state, w.resolution, w.resolved_by, None if w.state == "open" else w.at, conflict)
            for w in writes for conflict in w.ids
        ],
    )  # fmt: skip


def _save_projects(db: Database, connection: Connection, writes: Sequence[effects.SaveProject]) -> None:
    past.keep_projects(db, connection, writes)
    for w in writes:
        if w.version == 1:
            _project(connection, [(w.id, w.organization, w.name, w.description, w.owner, w.mode, w.state, w.metadata,
                                   w.version, w.created_by, w.at, w.at, w.position, w.at)])  # fmt: skip
        else:
            row = (w.name, w.description, w.owner, w.mode, w.state, w.metadata, w.version, w.at)
            _must_change(_change_project, connection, (*row, w.id, w.organization, w.version - 1))


def _save_tasks(db: Database, connection: Connection, writes: Sequence[effects.SaveTask]) -> None:
    past.keep_tasks(db, connection, writes)
    for w in writes:
        if w.version == 1:
            _task(connection, [(w.id, w.organization, w.project, w.title, w.state, w.assigned_to, w.depends_on,
                                w.metadata, w.version, w.created_by, w.at, w.at)])  # fmt: skip
        else:
            row = (w.title, w.state, w.assigned_to, w.depends_on, w.metadata, w.version, w.at)
            _must_change(_change_task, connection, (*row, w.id, w.organization, w.version - 1))


def _must_change(update: BulkUpdate, connection: Connection, row: Sequence[Any]) -> None:
    """Change one row that was read at the version before; Contention where it has moved since."""
    changed = update(connection, [row])
    if changed is None or changed.rowcount != 1:
        raise Contention("the row has changed since it was read")


WRITERS: dict[type[Write], Callable[[Database, Connection, Sequence[Any]], None]] = {
    effects.NewArtifact: _new_artifacts,
    effects.MoveHead: _move_heads,
    effects.NewVersion: _new_versions,
    effects.SetEdges: _set_edges,
    effects.SetRank: _set_ranks,
    effects.SetArtifactState: _set_states,
    effects.NewProposal: _new_proposals,
    effects.CloseProposal: _close_proposals,
    effects.NewConflict: _new_conflicts,
    effects.ResolveConflicts: _resolve_conflicts,
    effects.SaveProject: _save_projects,
    effects.SaveTask: _save_tasks,
}
