"""The rows of a project's history: positions are given here, and what is overwritten in place leaves its past."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from metaqore.messages import Write
from metaqore.psmp import effects, holdings
from metaqore.psmp.checkpoints import (
    Checkpoint,
    DeleteCheckpoint,
    HoldCheckpoint,
    Place,
    Point,
    SaveCheckpoint,
    names,
)
from metaqore.psmp.diff import Member
from metaqore.psmp.effects import Change, Step
from metaqore.psmp.proposals import CloseApproval
from metaqore.store.bulk import BulkInsert, chunks, placeholders
from metaqore.store.connection import Connection
from metaqore.store.engine import Database
from metaqore.store.repositories import psmp_past as past
from metaqore.store.sealed import open_payload
from metaqore.store.tables import psmp_time as t

_encode = msgspec.json.Encoder().encode
_history = BulkInsert(t.project_history, "project last first at steps")
_record = BulkInsert(t.record_history, "subject position project kind state was document changed_by at")
_checkpoint = BulkInsert(
    t.checkpoints, "id organization project name note position created_by created_at expires_at since"
)  # fmt: skip
#: Where its project stood is kept with it, so that the list of checkpoints can be looked back at, too.
_FORGET = (
    "UPDATE checkpoints SET deleted_at = ?, "
    "deleted_position = (SELECT p.position FROM projects p WHERE p.id = checkpoints.project) WHERE id = ?"
)

#: Number the steps of each project and note the commit, in one statement.
_POSTGRES = (
    "WITH moved AS (UPDATE projects AS p SET position = p.position + v.n, position_at = GREATEST(p.position_at, v.at) "
    "FROM json_to_recordset(%s::json) AS v(id text, n bigint, at bigint, steps text) WHERE p.id = v.id "
    "RETURNING p.id, p.position AS last, p.position_at AS at, v.n, v.steps) "
    "INSERT INTO project_history (project, last, first, at, steps) "
    "SELECT id, last, last - n + 1, at, steps FROM moved RETURNING project, last"
)
#: SQLite has one writer, so what was read is what is changed; RETURNING would cost more than both together.
_SQLITE = (
    "SELECT position, position_at FROM projects WHERE id = ?",
    "UPDATE projects SET position = ?, position_at = ? WHERE id = ?",
)


def number_steps(_db: Database, connection: Connection, steps: Sequence[Step]) -> None:
    """Give each step its position: the next ones of its project, in the order given.

    The project's row stays locked until the commit, so positions are gapless and visible in order. On PostgreSQL locks
    are taken in the order project → counter of the organization, by workers and control-plane calls alike.

    Raises:
        LookupError: a project does not exist.
    """
    by_project: defaultdict[str, list[Step]] = defaultdict(list)
    for step in steps:
        by_project[step.project].append(step)
    rows = []
    moving = {}
    for project, mine in by_project.items():
        if mine[0].first:
            # Its row comes after this, with position 1; nobody else can know it.
            rows.append((project, 1, 1, mine[0].at, _told(mine)))
            _give(mine, 1)
        else:
            moving[project] = mine
    if connection.is_sqlite:
        rows += [_move(connection, project, mine) for project, mine in moving.items()]
    elif moving:
        _move_all(connection, moving)
    _history(connection, rows)


def _move(connection: Connection, project: str, steps: Sequence[Step]) -> tuple[Any, ...]:
    position, since = connection.exec_driver_sql(_SQLITE[0], (project,)).one()
    last, at = position + len(steps), max(since, steps[-1].at)
    connection.exec_driver_sql(_SQLITE[1], (last, at, project))
    _give(steps, last)
    return project, last, last - len(steps) + 1, at, _told(steps)


def _move_all(connection: Connection, moving: Mapping[str, Sequence[Step]]) -> None:
    document = [
        {"id": project, "n": len(steps), "at": steps[-1].at, "steps": _told(steps)} for project, steps in moving.items()
    ]
    last: dict[str, int] = dict(row[:2] for row in connection.exec_driver_sql(_POSTGRES, (_encode(document).decode(),)))
    for project, steps in moving.items():
        if project not in last:
            raise LookupError(f"project {project} does not exist")
        _give(steps, last[project])


def _give(steps: Sequence[Step], last: int) -> None:
    for position, step in enumerate(steps, last - len(steps) + 1):
        msgspec.structs.force_setattr(step, "position", position)


def _told(steps: Sequence[Step]) -> str:
    return _encode([[step.request, *dict.fromkeys(step.members)] for step in steps]).decode()


class Record(msgspec.Struct, frozen=True):
    """A new state of something that has no versions, as its history keeps it."""

    change: Change
    subject: str
    kind: str
    state: str
    at: int
    changed_by: str | None = None
    #: Its other columns; None where only the state can change.
    document: Mapping[str, Any] | None = None


def keep(db: Database, connection: Connection, table: str, records: Sequence[Record]) -> None:
    """Keep new states in the history; call it *before* the rows of ``table`` are overwritten.

    Of several states that one decision gives one thing, the last counts.
    """
    if not records:
        return
    states = _present_states(db, connection, table, {record.subject for record in records})
    rows: dict[tuple[str, int], tuple[Any, ...]] = {}
    for record in records:
        step = record.change.step
        position = record.change.position
        key = (record.subject, position)
        was = rows[key][5] if key in rows else states.get(record.subject)
        document = None if record.document is None else _encode(record.document).decode()
        rows[key] = (record.subject, position, step.project if step is not None else "", record.kind, record.state, was,
                     document, record.changed_by, record.at)  # fmt: skip
        states[record.subject] = record.state
    _record(connection, list(rows.values()))


def _present_states(db: Database, connection: Connection, table: str, ids: Collection[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    keys = sorted(ids)
    for part in chunks(keys, 512):
        sql = f"SELECT id, state FROM {table} WHERE id IN ({placeholders(len(part))})"
        found |= dict(row[:2] for row in connection.exec_driver_sql(db.sql(sql), tuple(part)))
    return found


def keep_artifact_states(db: Database, connection: Connection, writes: Sequence[effects.SetArtifactState]) -> None:
    """Keep the states that artifacts are about to get."""
    keep(db, connection, "artifacts", [Record(w, w.artifact, "artifact", w.state, w.at, w.updated_by) for w in writes])


def keep_projects(db: Database, connection: Connection, writes: Sequence[effects.SaveProject]) -> None:
    """Keep what projects are about to become."""
    columns = "name description owner mode metadata version".split()
    keep(db, connection, "projects", [
        Record(w, w.id, "project", w.state, w.at, document={c: getattr(w, c) for c in columns}) for w in writes
    ])  # fmt: skip


def keep_tasks(db: Database, connection: Connection, writes: Sequence[effects.SaveTask]) -> None:
    """Keep what tasks are about to become."""
    columns = "title assigned_to depends_on metadata version".split()
    keep(db, connection, "tasks", [
        Record(w, w.id, "task", w.state, w.at, document={c: getattr(w, c) for c in columns}) for w in writes
    ])  # fmt: skip


def keep_conflicts(db: Database, connection: Connection, writes: Sequence[effects.ResolveConflicts]) -> None:
    """Keep what is about to become of conflicts."""
    keep(db, connection, "conflicts", [
        Record(w, conflict, "conflict", w.state, w.at, w.resolved_by, {"resolution": w.resolution})
        for w in writes for conflict in w.ids
    ])  # fmt: skip


def keep_proposals(db: Database, connection: Connection, writes: Sequence[effects.CloseProposal]) -> None:
    """Keep what is about to become of blocked proposals."""
    keep(db, connection, "proposals", [Record(w, w.id, "proposal", w.state, w.at) for w in writes])


def keep_intents(
    db: Database, connection: Connection, writes: Sequence[holdings.NewIntent] | Sequence[holdings.ChangeIntent]
) -> None:
    """Keep what intents are about to become."""
    keep(db, connection, "intents", [
        Record(w, w.id, "intent", w.state if isinstance(w, holdings.ChangeIntent) else "open", w.at,
               document={"remaining": w.remaining})
        for w in writes
    ])  # fmt: skip


def keep_approvals(db: Database, connection: Connection, writes: Sequence[CloseApproval]) -> None:
    """Keep how approvals are about to end; those of no project have no history."""
    keep(db, connection, "approvals", [Record(w, w.id, "approval", w.state, w.at, w.by) for w in writes if w.position])


class PastRows:
    """See ``metaqore.psmp.checkpoints.PointReads`` and ``metaqore.psmp.restore.PastReads``."""

    _db: Database
    _connection: Connection

    def _query(self, sql: str, values: Sequence[Any]) -> Sequence[Any]:
        return self._connection.exec_driver_sql(self._db.sql(sql), tuple(values)).fetchall()

    def place(self, organization: str, project: str, point: Point | None, now: int, field: str) -> Place | None:
        """Return where a moment is; the project stays at its position until the commit."""
        lock = "" if self._db.is_sqlite else " FOR UPDATE"
        return past.place(self._query, organization, project, point, now, field, lock=lock)

    def checkpoint(self, organization: str, checkpoint: str) -> Checkpoint | None:
        """Return a checkpoint that was not deleted."""
        return past.checkpoint(self._query, organization, checkpoint)

    def checkpoint_named(self, project: str, name: str) -> Checkpoint | None:
        """Return the checkpoint of this name that was not deleted."""
        return past.checkpoint_named(self._query, project, name)

    def checkpoint_users(self, checkpoint: Checkpoint, now: int) -> list[str]:
        """Return who uses a checkpoint."""
        users = [
            request for request, payload in past.looking_back(self._query, checkpoint.project)
            if self._opened(payload).get("checkpoint") == checkpoint.id
        ]  # fmt: skip
        users += [
            approval for approval, subject, base in past.approvals_open(self._query, checkpoint.project)
            if subject == checkpoint.id or names(msgspec.json.decode(base), checkpoint)
        ]  # fmt: skip
        users += [
            proposal for proposal, payload in past.proposals_open(self._query, checkpoint.project)
            if names(self._opened(payload), checkpoint)
        ]  # fmt: skip
        return users + past.holders(self._query, checkpoint.id, now)

    def _opened(self, payload: str) -> dict[str, Any]:
        return open_payload(self._db, self._connection, payload)

    def due_checkpoints(self, organization: str, now: int, limit: int) -> list[Checkpoint]:
        """Return checkpoints whose time is over and that nobody uses."""
        due = past.due_checkpoints(self._query, organization, now, limit)
        return [found for found in due if not self.checkpoint_users(found, now)]

    def organizations_with_due_checkpoints(self, now: int) -> list[str]:
        """Return the organizations that have a checkpoint whose time is over."""
        sql = "SELECT DISTINCT organization FROM checkpoints WHERE expires_at <= ? AND deleted_at IS NULL"
        return sorted(row[0] for row in self._query(sql, (now,)))

    def changed_since(self, project: str, position: int, limit: int) -> list[tuple[int, str, str]]:
        """Return (position, id, kind) of the members that changed after a position."""
        return past.changed(self._query, project, position, past.FOREVER, limit=limit, scan=past.FOREVER)[0]

    def members_at(self, changes: Collection[tuple[int, str, str]], position: int) -> dict[str, Member]:
        """Return those of the members that existed at a position, as they were."""
        artifacts = [subject for _, subject, kind in changes if kind == "artifact"]
        tasks = [subject for _, subject, kind in changes if kind == "task"]
        return past.artifacts_at(self._query, artifacts, position) | past.tasks_at(self._query, tasks, position)

    def version_sizes(self, versions: Collection[tuple[str, int]]) -> int:
        """Return how many characters of content these versions have together."""
        return past.version_sizes(self._query, versions)

    def declarations(self, versions: Collection[tuple[str, int]]) -> dict[str, dict[str, Any]]:
        """Return artifact → type, name, content, label and body of one version each."""
        return past.declarations(self._query, versions)


def _save_checkpoints(_db: Database, connection: Connection, writes: Sequence[SaveCheckpoint]) -> None:
    _checkpoint(
        connection,
        [(w.id, w.organization, w.project, w.name, w.note, w.position, w.created_by, w.at, w.expires_at,
          w.since)
         for w in writes],
    )  # fmt: skip


def _delete_checkpoints(db: Database, connection: Connection, writes: Sequence[DeleteCheckpoint]) -> None:
    for w in writes:
        connection.exec_driver_sql(db.sql(_FORGET), (w.at, w.id))


def _hold_checkpoints(db: Database, connection: Connection, writes: Sequence[HoldCheckpoint]) -> None:
    for w in writes:
        # Who lets go does so for himself alone.
        sql = (
            "UPDATE checkpoints SET held_by = ?, held_until = ? WHERE id = ? "
            "AND (held_by IS NULL OR held_by = ? OR held_until < ?)"
        )
        connection.exec_driver_sql(db.sql(sql), (w.by, w.until, w.id, w.by, w.until))


WRITERS: dict[type[Write], Callable[[Database, Connection, Sequence[Any]], None]] = {
    Step: number_steps,
    SaveCheckpoint: _save_checkpoints,
    DeleteCheckpoint: _delete_checkpoints,
    HoldCheckpoint: _hold_checkpoints,
}
