"""Looking back, for those who ask: a project as it was at a position, what differs between two, and its checkpoints."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from metaqore.clock import now_ms
from metaqore.psmp.checkpoints import Place, Point
from metaqore.psmp.diff import Difference, compare
from metaqore.psmp.replay import Recorded
from metaqore.store.bulk import chunks, placeholders
from metaqore.store.engine import Database
from metaqore.store.repositories import psmp_past as past
from metaqore.store.repositories.psmp_past import state_at
from metaqore.store.sealed import open_payloads
from metaqore.store.views.lookup import Lookup, Page, Row, paged
from metaqore.store.views.psmp import blocked_item, summed

_decode = msgspec.json.decode
_CHECKPOINT = "id, project, name, note, position, created_by, created_at, expires_at"
_CONFLICT = (
    "c.id, c.project, c.proposal, c.artifact, c.request_id, c.class, c.rule, c.severity, c.strategy, c.mode, "
    "c.evidence, c.created_at"
)
#: The checkpoints that there were at a position.
_THERE = "AND since <= ? AND (deleted_at IS NULL OR deleted_position > ?)"
#: The version that was the head of artifact ``a`` at a position.
_HEAD_THEN = (
    "(SELECT w.version FROM artifact_versions w WHERE w.artifact = a.id AND w.position <= ? "
    "ORDER BY w.version DESC LIMIT 1)"
)
#: How many steps of a history are looked at, at most, before a page of differences goes out short.
_DIFF_SCAN = 20_000
#: Commits of a history that are read at once.
_COMMITS = 64


class TimeViews(Lookup):
    """Where moments are, what differs between them, and checkpoints."""

    def _tuples(self, sql: str, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        with self._db.read() as connection:
            return connection.exec_driver_sql(self._db.sql(sql), tuple(values)).fetchall()

    def place(self, organization: str, project: str, point: Point | None, field: str) -> Place | None:
        """Return where a moment is in a project's history; None where there is no such project.

        Raises:
            InvalidInput: the project has no such moment.
        """
        return past.place(self._tuples, organization, project, point, now_ms(), field)

    def projects(self, organization: str, at: int, *, state: str | None, after: str | None, limit: int) -> Page:
        """Return the projects that there were at a time (milliseconds), as they were, by age."""
        rows = self.rows(
            "SELECT p.id, p.position FROM projects p WHERE p.organization = ? AND p.created_at <= ? AND p.id > ? "
            "ORDER BY p.id", (organization, at, after or ""),
        )  # fmt: skip
        found: list[Row] = []
        for row in rows:
            position = past.at_time(self._tuples, row["id"], at, row["position"])
            then = self.at(position).project(organization, row["id"])
            if then is not None and state in (None, then["state"]):
                found.append(then)
            if len(found) > limit:
                break
        return paged(found, "id", limit)

    def at(self, position: int) -> PastViews:
        """Return look-ups of projects as they were at a position of their history."""
        return PastViews(self._db, position)

    def recorded(self, project: str, start: int, end: int) -> Iterator[Recorded]:
        """Yield the decisions of a project after position ``start`` up to ``end``, in their order."""
        while start < end:
            commits = self.rows(
                "SELECT first, steps FROM project_history WHERE project = ? AND last > ? ORDER BY last LIMIT ?",
                (project, start, _COMMITS),
            )
            order = [(row["first"] + at, step[0]) for row in commits for at, step in enumerate(_decode(row["steps"]))]
            if not order:
                return
            for part in chunks([(at, key) for at, key in order if start < at <= end], 256):
                yield from self._decisions(dict(part))
            start = order[-1][0]

    def _decisions(self, requests: Mapping[int, str]) -> Iterator[Recorded]:
        columns = "seq, id, organization, principal, kind, queue, payload, created_at, finished_at, verdict, result"
        sql = f"SELECT {columns} FROM requests WHERE id IN ({placeholders(len(requests))})"
        found = {row["id"]: row for row in self.rows(sql, [*requests.values()])}
        told = [(at, found[key]) for at, key in requests.items() if key in found]
        with self._db.read() as connection:
            payloads = open_payloads(self._db, connection, [row["payload"] for _, row in told])
        for (at, row), payload in zip(told, payloads, strict=True):
            yield _recorded(row, payload, at)

    def checkpoints(
        self, organization: str, project: str, *, after: str | None, limit: int, at: int | None = None
    ) -> Page:
        """Return the checkpoints that a project has, or had at a position, in the order of their creation."""
        position = past.FOREVER if at is None else at
        sql = (
            f"SELECT {_CHECKPOINT} FROM checkpoints WHERE project = ? AND organization = ? AND id > ? {_THERE} "
            "ORDER BY id LIMIT ?"
        )
        values = [project, organization, after or "", position, position, limit + 1]
        return paged(self.rows(sql, values), "id", limit)

    def checkpoint(self, organization: str, project: str, checkpoint: str, *, at: int | None = None) -> Row | None:
        """Return one checkpoint, by id or name, that the project has, or had at a position."""
        position = past.FOREVER if at is None else at
        column = "id" if checkpoint.startswith("chk_") else "name"
        return self.row(
            f"SELECT {_CHECKPOINT} FROM checkpoints WHERE {column} = ? AND project = ? AND organization = ? {_THERE}",
            (checkpoint, project, organization, position, position),
        )

    def diff(
        self, project: str, start: int, end: int, *, after: tuple[int, str] | None, limit: int
    ) -> tuple[list[Difference], tuple[int, str] | None]:
        """Return members that differ between two positions, and where to go on (None at the end).

        A member is listed once, in the order of the last changes. A page may be short, even empty, where members were
        changed and changed back.
        """
        changes, last = past.changed(
            self._tuples, project, min(start, end), max(start, end), after=after, limit=limit, scan=_DIFF_SCAN
        )  # fmt: skip
        found = [difference for _, difference in self._compared(changes, start, end) if difference is not None]
        return found, last

    def difference(self, artifact: str, start: int, end: int) -> Difference | None:
        """Return what differs of one artifact between two positions."""
        return self._compared([(0, artifact, "artifact")], start, end)[0][1]

    def _compared(
        self, changes: Sequence[past.Change], start: int, end: int
    ) -> list[tuple[past.Change, Difference | None]]:
        artifacts = [subject for _, subject, kind in changes if kind == "artifact"]
        tasks = [subject for _, subject, kind in changes if kind == "task"]
        query = self._tuples
        before, then = (
            past.artifacts_at(query, artifacts, position) | past.tasks_at(query, tasks, position)
            for position in (start, end)
        )
        return [(change, compare(before.get(change[1]), then.get(change[1]))) for change in changes]


class PastViews(Lookup):
    """Look-ups of PSMP as of a position; the methods are those of ``PsmpViews``."""

    def __init__(self, database: Database, position: int) -> None:
        super().__init__(database)
        self._at = position

    def project(self, organization: str, project: str) -> Row | None:
        """Return a project as it was; None where it did not exist yet."""
        row = self.row(
            "SELECT p.id, p.created_by, p.created_at, h.state, h.document, h.at AS updated_at, h.position "
            f"FROM projects p JOIN record_history h ON h.subject = p.id AND h.position = {_latest('p')} "
            "WHERE p.id = ? AND p.organization = ?", (self._at, project, organization),
        )  # fmt: skip
        return None if row is None else {**_documented(row), "position": self._at}

    def task(self, organization: str, task: str) -> Row | None:
        """Return a task as it was."""
        found = self._tasks("t.id = ? AND t.organization = ?", [task, organization], 1)
        return found[0] if found else None

    def tasks(
        self, organization: str, project: str, *, state: str | None, assigned_to: str | None, after: str | None,
        limit: int,
    ) -> Page:  # fmt: skip
        """Return the tasks of a project in the order of their creation."""
        where, values = "t.project = ? AND t.organization = ? AND t.id > ?", [project, organization, after or ""]
        if state is not None:
            where, values = where + " AND h.state = ?", [*values, state]
        if assigned_to is not None:
            member = "json_extract(h.document, '$.assigned_to')" if self._db.is_sqlite else (
                "h.document::json->>'assigned_to'")  # fmt: skip
            where, values = where + f" AND {member} = ?", [*values, assigned_to]
        return paged(self._tasks(where, values, limit + 1), "id", limit)

    def _tasks(self, where: str, values: Sequence[Any], limit: int) -> list[Row]:
        rows = self.rows(
            "SELECT t.id, t.project, t.created_by, t.created_at, h.state, h.document, h.at AS updated_at "
            f"FROM tasks t JOIN record_history h ON h.subject = t.id AND h.position = {_latest('t')} "
            f"WHERE {where} ORDER BY t.id LIMIT ?", [self._at, *values, limit],
        )  # fmt: skip
        return [_documented(row, "depends_on") for row in rows]

    def artifacts(
        self, organization: str, project: str, *, type: str | None, name: str | None, state: str | None,  # noqa: A002
        after: str | None, limit: int, **_: Any,
    ) -> Page:  # fmt: skip
        """Return the artifacts of a project, without contents, in the order of their creation."""
        given = {"a.type": type, "a.name": name, "s.state": state}
        chosen = {column: value for column, value in given.items() if value is not None}
        where = "".join(f" AND {column} = ?" for column in chosen)
        return paged(
            self._artifacts(
                f"a.project = ? AND a.organization = ? AND a.id > ?{where}",
                [project, organization, after or "", *chosen.values()], limit + 1,
            ), "id", limit,
        )  # fmt: skip

    def artifact(self, organization: str, artifact: str) -> Row | None:
        """Return an artifact as it was, with its content."""
        found = self._artifacts("a.id = ? AND a.organization = ?", [artifact, organization], 1)
        if not found:
            return None
        version = self.version(organization, artifact, found[0]["version"])
        body = {} if version is None else {k: version[k] for k in ("content", "base_version", "body", "request_id")}
        return {**found[0], **body}

    def _artifacts(self, where: str, values: Sequence[Any], limit: int) -> list[Row]:
        rows = self.rows(
            "SELECT a.id, a.project, a.type, a.name, v.version AS head, v.version, v.content_hash, v.label, "
            "a.created_by, v.created_by AS updated_by, a.created_at, v.created_at AS updated_at, s.state, "
            "m.changed_by AS moved_by, m.at AS moved_at "
            f"FROM artifacts a JOIN artifact_versions v ON v.artifact = a.id AND v.version = {_HEAD_THEN} "
            f"JOIN (SELECT a.id AS id, {state_at('a')} AS state FROM artifacts a) s ON s.id = a.id "
            f"LEFT JOIN record_history m ON m.subject = a.id AND m.position = {_latest('a')} "
            f"WHERE {where} ORDER BY a.id LIMIT ?",
            [self._at, self._at, self._at, self._at, *values, limit],
        )
        return [_moved(row) for row in rows]

    def versions(self, organization: str, artifact: str, *, after: int | None, limit: int) -> Page:
        """Return the versions there were, without contents, the newest first."""
        rows = self.rows(
            "SELECT artifact, version, content_hash, label, base_version, request_id, created_by, created_at, position "
            "FROM artifact_versions WHERE artifact = ? AND organization = ? AND position <= ? AND version < ? "
            "ORDER BY version DESC LIMIT ?",
            (artifact, organization, self._at, after or past.FOREVER, limit + 1),
        )
        return paged(rows, "version", limit)

    def version(self, organization: str, artifact: str, version: int) -> Row | None:
        """Return one version with its content."""
        row = self.row(
            "SELECT artifact, version, content, content_hash, label, base_version, body, request_id, created_by, "
            "created_at, position FROM artifact_versions "
            "WHERE artifact = ? AND version = ? AND organization = ? AND position <= ?",
            (artifact, version, organization, self._at),
        )
        return None if row is None else {**row, "content": _decode(row["content"]), "body": _decode(row["body"])}

    def conflict(self, organization: str, conflict: str) -> Row | None:
        """Return a conflict as it was."""
        found = self._conflicts("c.id = ? AND c.organization = ?", [conflict, organization], 1)
        return found[0] if found else None

    def conflicts(
        self, organization: str, *, project: str | None, state: str | None, severity: str | None,
        conflict_class: str | None, after: str | None, limit: int,
    ) -> Page:  # fmt: skip
        """Return conflicts, the newest first."""
        given = {"c.organization": organization, "c.project": project, "s.state": state, "c.severity": severity,
                 "c.class": conflict_class}  # fmt: skip
        chosen = {column: value for column, value in given.items() if value is not None}
        where, values = " AND ".join(f"{column} = ?" for column in chosen), [*chosen.values()]
        if after is not None:
            where, values = where + " AND c.id < ?", [*values, after]
        return paged(self._conflicts(where, values, limit + 1), "id", limit)

    def _conflicts(self, where: str, values: Sequence[Any], limit: int) -> list[Row]:
        rows = self.rows(
            f"SELECT {_CONFLICT}, s.state, c.state AS state_now, c.resolution AS resolution_now, "
            "c.resolved_by AS resolved_by_now, c.resolved_at AS resolved_at_now, m.document, m.changed_by, "
            "m.at AS moved_at FROM conflicts c "
            f"JOIN (SELECT c.id AS id, {state_at('c')} AS state FROM conflicts c) s ON s.id = c.id "
            f"LEFT JOIN record_history m ON m.subject = c.id AND m.position = {_latest('c')} "
            f"WHERE {where} AND c.position <= ? ORDER BY c.id DESC LIMIT ?",
            [self._at, self._at, self._at, *values, self._at, limit],
        )
        return [_resolved(row) for row in rows]

    def blocked(self, organization: str, project: str, *, after: str | None, limit: int) -> Page:
        """Return the proposals that were blocked, each with the conflicts that were unresolved."""
        rows = self.rows(
            f"SELECT p.id, p.type, p.name, p.artifact, p.request_id, p.created_by, p.created_at, r.result, "
            "(SELECT max(v.version) FROM artifact_versions v WHERE v.artifact = p.artifact AND v.position <= ?) "
            "AS head "
            "FROM proposals p JOIN requests r ON r.id = p.request_id "
            f"WHERE {state_at('p')} = 'blocked' AND p.project = ? AND p.organization = ? AND p.position <= ? "
            "AND p.id > ? ORDER BY p.id LIMIT ?",
            [self._at, self._at, self._at, project, organization, self._at, after or "", limit + 1],
        )
        found = paged(rows, "id", limit)
        conflicts = self._open_conflicts([row["id"] for row in found.items])
        return Page([blocked_item(row, conflicts[row["id"]]) for row in found.items], found.last)

    def _open_conflicts(self, proposals: Sequence[str]) -> defaultdict[str, list[Row]]:
        grouped: defaultdict[str, list[Row]] = defaultdict(list)
        if proposals:
            where = f"c.proposal IN ({placeholders(len(proposals))}) AND s.state IN ('open', 'escalated')"
            for row in reversed(self._conflicts(where, proposals, past.FOREVER)):
                grouped[row["proposal"]].append(row)
        return grouped

    def proposal(self, organization: str, proposal: str) -> dict[str, Any] | None:
        """Return a proposal as it was, with the conflicts that were unresolved and the report that it was blocked with.

        None where there is none, or was none yet.
        """
        row = self.row(
            f"SELECT p.id, p.type, p.name, p.artifact, {state_at('p')} AS state, r.result FROM proposals p "
            "JOIN requests r ON r.id = p.request_id WHERE p.id = ? AND p.organization = ? AND p.position <= ?",
            (self._at, self._at, proposal, organization, self._at),
        )
        if row is None:
            return None
        conflicts = self._open_conflicts([proposal])[proposal]
        report = _decode(row["result"] or "{}").get("blocking_report")
        return {"state": row["state"], "report": report, "conflicts": conflicts}

    def standing(self, organization: str, project: str) -> dict[str, Any]:
        """Return how many unresolved conflicts a project had, by severity and by class."""
        rows = self.rows(
            "SELECT c.class, c.severity, count(*) AS n FROM conflicts c "
            f"WHERE {state_at('c')} IN ('open', 'escalated') "
            "AND c.project = ? AND c.organization = ? AND c.position <= ? GROUP BY c.class, c.severity",
            (self._at, self._at, project, organization, self._at),
        )
        return summed(rows)


def _recorded(row: Row, payload: dict[str, Any], position: int) -> Recorded:
    return Recorded(
        position=position, id=row["id"], seq=row["seq"], organization=row["organization"],
        principal=row["principal"], kind=row["kind"], queue=row["queue"], payload=payload,
        created_at=row["created_at"], at=row["finished_at"], verdict=row["verdict"],
        result=_decode(row["result"] or "{}"),
    )  # fmt: skip


def _latest(table: str) -> str:
    """Return the SQL for the position at which a row of ``table`` got what it had at a position."""
    return f"(SELECT max(g.position) FROM record_history g WHERE g.subject = {table}.id AND g.position <= ?)"


def _documented(row: Row, *also: str) -> dict[str, Any]:
    shown = {name: value for name, value in row.items() if name != "document"} | past.document(row["document"])
    return {**shown, **{name: _decode(shown[name]) for name in ("metadata", *also)}}


def _moved(row: Row) -> dict[str, Any]:
    """Let a move that came after the last version say who changed the artifact last."""
    shown = dict(row)
    moved_by, moved_at = shown.pop("moved_by"), shown.pop("moved_at")
    if moved_at is not None and moved_at >= shown["updated_at"]:
        shown |= {"updated_by": moved_by or shown["updated_by"], "updated_at": moved_at}
    return shown


def _resolved(row: Row) -> dict[str, Any]:
    """Say what had become of a conflict by then."""
    shown = dict(row)
    now = {name: shown.pop(f"{name}_now") for name in ("state", "resolution", "resolved_by", "resolved_at")}
    document, changed_by, at = shown.pop("document"), shown.pop("changed_by"), shown.pop("moved_at")
    shown["evidence"] = _decode(shown["evidence"])
    if document is not None:
        return {**shown, **_decode(document), "resolved_by": changed_by, "resolved_at": at}
    fates: Mapping[str, Any] = {"resolution": None, "resolved_by": None, "resolved_at": None}
    # What was let through, or resolved at once, never changes.
    return {**shown, **(now if now["state"] == shown["state"] and shown["state"] != "open" else fates)}
