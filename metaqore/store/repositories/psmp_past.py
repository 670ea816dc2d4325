"""Looking back: where a moment is, what a project was made of then, and what changed between two moments.

Used inside the deciding transaction (restore, checkpoints) and by the read-only views alike: each function gets a
``query`` that runs one statement written with ``?`` and returns its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from metaqore.clock import to_rfc3339
from metaqore.psmp.checkpoints import SKEW_MS, Checkpoint, Place, Point, refuse
from metaqore.psmp.diff import PARTS, Member
from metaqore.store.bulk import chunks, placeholders

Query = Callable[[str, Sequence[Any]], Sequence[Sequence[Any]]]
_decode = msgspec.json.decode
#: A position that no project reaches.
FOREVER = 2**62
#: What is left of a document that was erased.
_ERASED = {"title": "erased", "name": "erased", "description": "", "owner": "", "mode": "strict", "assigned_to": None,
           "depends_on": "[]", "metadata": "{}", "version": 0}  # fmt: skip
#: What a task is, beside its state.
_TASK_PARTS = ("title", "assigned_to", "depends_on", "metadata")


def state_at(table: str) -> str:
    """Return the SQL expression for the state at a position of a row of ``table``; it takes the position twice.

    The last state that was kept until then; before the first one, what was overwritten by it; without any, the present.
    """
    return (
        "COALESCE("
        f"(SELECT h.state FROM record_history h WHERE h.subject = {table}.id AND h.position <= ? "
        "ORDER BY h.position DESC LIMIT 1), "
        f"(SELECT h.was FROM record_history h WHERE h.subject = {table}.id AND h.position > ? "
        f"ORDER BY h.position LIMIT 1), {table}.state)"
    )


def place(
    query: Query, organization: str, project: str, point: Point | None, now: int, field: str, *, lock: str = ""
) -> Place | None:
    """Return where a moment is in a project's history; None where there is no such project.

    Args:
        lock: appended to the statement that reads the project, so that its position stays.

    Raises:
        InvalidInput: the project has no such moment.
    """
    rows = query(f"SELECT position FROM projects WHERE id = ? AND organization = ?{lock}", (project, organization))
    if not rows:
        return None
    present: int = rows[0][0]
    if point is None:
        return Place(present, present, now)
    if point.kind == "position":
        if int(point.value) > present:
            refuse(field, f"the project is at position {present}, not yet at {point.value}")
        return Place(int(point.value), present, _until(query, project, int(point.value), now))
    if point.kind == "time":
        if int(point.value) > now + SKEW_MS:
            refuse(field, f"{to_rfc3339(int(point.value))} is yet to come")
        return Place(at_time(query, project, int(point.value), present), present, int(point.value))
    found = _checkpoint(query, "id" if str(point.value).startswith("chk_") else "name", project, str(point.value))
    if found is None:
        refuse(field, f"this project has no checkpoint {point.value!r}")
    return Place(found.position, present, _until(query, project, found.position, now), found.id)


def _until(query: Query, project: str, position: int, now: int) -> int:
    """Return when the position after this one came, or the present time."""
    rows = query("SELECT at FROM project_history WHERE project = ? AND last > ? ORDER BY last LIMIT 1",
                 (project, position))  # fmt: skip
    return int(rows[0][0]) if rows else now


def at_time(query: Query, project: str, at: int, present: int) -> int:
    """Return the last position of the last commit until a time: times never fall, so halving finds it."""
    found, low, high = 0, 1, present
    while low <= high:
        rows = query(
            "SELECT first, last, at FROM project_history WHERE project = ? AND last >= ? ORDER BY last LIMIT 1",
            (project, (low + high) // 2),
        )
        if not rows:
            break
        first, last, since = rows[0]
        if since <= at:
            found, low = last, last + 1
        else:
            high = first - 1
    return found


def _checkpoint(query: Query, column: str, project: str, value: str) -> Checkpoint | None:
    rows = query(
        "SELECT id, organization, project, name, position FROM checkpoints "
        f"WHERE {column} = ? AND project = ? AND deleted_at IS NULL", (value, project),
    )  # fmt: skip
    return _as_checkpoint(rows[0]) if rows else None


def _as_checkpoint(row: Sequence[Any]) -> Checkpoint:
    return Checkpoint(id=row[0], organization=row[1], project=row[2], name=row[3], position=row[4])


def checkpoint(query: Query, organization: str, identifier: str) -> Checkpoint | None:
    """Return a checkpoint that was not deleted."""
    rows = query(
        "SELECT id, organization, project, name, position FROM checkpoints "
        "WHERE id = ? AND organization = ? AND deleted_at IS NULL", (identifier, organization),
    )  # fmt: skip
    return _as_checkpoint(rows[0]) if rows else None


def checkpoint_named(query: Query, project: str, name: str) -> Checkpoint | None:
    """Return the checkpoint of this name that was not deleted."""
    return _checkpoint(query, "name", project, name)


def due_checkpoints(query: Query, organization: str, now: int, limit: int) -> list[Checkpoint]:
    """Return checkpoints whose time is over."""
    rows = query(
        "SELECT id, organization, project, name, position FROM checkpoints WHERE expires_at <= ? "
        "AND deleted_at IS NULL AND organization = ? ORDER BY expires_at LIMIT ?", (now, organization, limit),
    )  # fmt: skip
    return [_as_checkpoint(row) for row in rows]


def looking_back(query: Query, project: str) -> list[tuple[str, str]]:
    """Return (id, stored payload) of the unfinished requests that begin at an earlier moment of a project."""
    rows = query(
        "SELECT id, payload FROM requests WHERE state IN ('accepted', 'running') AND queue IN ('psmp', 'hmcp') "
        "AND project = ? AND kind IN ('project.restore', 'history.replay') ORDER BY seq", (project,),
    )  # fmt: skip
    return [(row[0], row[1]) for row in rows]


def approvals_open(query: Query, project: str) -> list[tuple[str, str, str]]:
    """Return (id, subject, base as JSON) of the open approvals of a project."""
    sql = "SELECT id, subject, base FROM approvals WHERE state = 'open' AND project = ? ORDER BY id"
    return [(row[0], row[1], row[2]) for row in query(sql, (project,))]


def proposals_open(query: Query, project: str) -> list[tuple[str, str]]:
    """Return (id, stored payload) of the blocked proposals of a project."""
    rows = query(
        "SELECT p.id, r.payload FROM proposals p JOIN requests r ON r.id = p.request_id "
        "WHERE p.state = 'blocked' AND p.project = ? ORDER BY p.id", (project,),
    )  # fmt: skip
    return [(row[0], row[1]) for row in rows]


def holders(query: Query, checkpoint: str, now: int) -> list[str]:
    """Return who holds a checkpoint at a time."""
    return [row[0] for row in query("SELECT held_by FROM checkpoints WHERE id = ? AND held_until > ?",
                                    (checkpoint, now))]  # fmt: skip


Change = tuple[int, str, str]
#: Where changes of members are kept, each with its position, and the column that names the member.
_PASTS = (("artifact_versions", "artifact"), ("artifact_aliases", "artifact"), ("record_history", "subject"))
#: Commits that are read at once.
_COMMITS = 256


def changed(
    query: Query, project: str, low: int, high: int, *, after: tuple[int, str] | None = None, limit: int, scan: int
) -> tuple[list[Change], tuple[int, str] | None]:
    """Return (position, id, kind) of members that changed in (low, high], each once, in the order of the last changes.

    Args:
        after: (position, id) up to which was looked before.
        limit: the most that are returned.
        scan: the most steps that are looked at.

    Returns:
        What was found, and where to go on; None where this is the end.
    """
    found: list[Change] = []
    seen = after or (low + 1, "")
    while scan > 0:
        steps = _steps(query, project, seen[0], high, _COMMITS)
        changes = sorted({(at, member) for at, members in steps for member in members if (at, member) > seen})
        if changes:
            lasts = _last_changes(query, {member for _, member in changes}, seen[0], high)
            for at, member in changes:
                if lasts.get(member) == at:
                    found.append((at, member, "task" if member.startswith("tsk_") else "artifact"))
                    if len(found) == limit:
                        return found, (at, member)
        if not steps or steps[-1][0] >= high:
            return found, None
        seen = (steps[-1][0] + 1, "")
        scan -= len(steps)
    return found, seen


def _steps(query: Query, project: str, low: int, high: int, commits: int) -> list[tuple[int, list[str]]]:
    """Return (position, members) of the steps from ``low`` to ``high``, as many as ``commits`` have, by position."""
    rows = query(
        "SELECT first, steps FROM project_history WHERE project = ? AND last >= ? AND first <= ? ORDER BY last LIMIT ?",
        (project, low, high, commits),
    )
    told = [(first + at, step[1:]) for first, steps in rows for at, step in enumerate(_decode(steps))]
    return [(at, members) for at, members in told if low <= at <= high]


def _last_changes(query: Query, members: Collection[str], low: int, high: int) -> dict[str, int]:
    """Return the position of the last change of each member between ``low`` and ``high``."""
    last: dict[str, int] = {}
    keys = sorted(members)
    for part in chunks(keys, 256):
        for table, column in _PASTS:
            rows = query(
                f"SELECT {column}, max(position) FROM {table} WHERE {column} IN ({placeholders(len(part))}) "
                f"AND position >= ? AND position <= ? GROUP BY {column}",
                [*part, low, high],
            )
            for member, at in rows:
                last[member] = max(last.get(member, 0), at)
    return last


def artifacts_at(query: Query, ids: Collection[str], position: int) -> dict[str, Member]:
    """Return those of ``ids`` that existed at a position, as they were."""
    found: dict[str, Member] = {}
    keys = sorted(ids)
    for part in chunks(keys, 256):
        rows = query(
            f"SELECT a.id, a.type, a.name, v.version, {state_at('a')}, v.content_hash, v.label, v.body "
            "FROM artifacts a JOIN artifact_versions v ON v.artifact = a.id AND v.version = "
            "(SELECT w.version FROM artifact_versions w WHERE w.artifact = a.id AND w.position <= ? "
            f"ORDER BY w.version DESC LIMIT 1) WHERE a.id IN ({placeholders(len(part))})",
            [position, position, position, *part],
        )
        aliases = _aliases_at(query, part, position)
        for row in rows:
            body = _decode(row[7])
            found[row[0]] = Member(
                kind="artifact", id=row[0], title=f"{row[1]}/{row[2]}", version=row[3], state=row[4],
                content_hash=row[5], label=row[6],
                parts={name: body.get(name) for name in PARTS} | {"aliases": aliases.get(row[0], {})},
            )  # fmt: skip
    return found


def _aliases_at(query: Query, artifacts: Sequence[str], position: int) -> dict[str, dict[str, int]]:
    """Return artifact → alias → version, as of a position."""
    rows = query(
        "SELECT t.artifact, t.alias, t.version FROM artifact_aliases t "
        f"WHERE t.artifact IN ({placeholders(len(artifacts))}) AND t.version IS NOT NULL AND t.position = "
        "(SELECT max(u.position) FROM artifact_aliases u WHERE u.artifact = t.artifact AND u.alias = t.alias "
        "AND u.position <= ?)",
        [*artifacts, position],
    )
    found: dict[str, dict[str, int]] = {}
    for artifact, alias, version in rows:
        found.setdefault(artifact, {})[alias] = version
    return found


def document(text: str) -> dict[str, Any]:
    """Return what is kept of a task or project beside its state; what was erased says so."""
    return {**_ERASED, **_decode(text)}


def tasks_at(query: Query, ids: Collection[str], position: int) -> dict[str, Member]:
    """Return those of ``ids`` that are tasks and existed at a position, as they were."""
    found: dict[str, Member] = {}
    keys = sorted(ids)
    for part in chunks(keys, 256):
        rows = query(
            "SELECT h.subject, h.state, h.document FROM record_history h WHERE h.kind = 'task' AND h.position = "
            "(SELECT max(g.position) FROM record_history g WHERE g.subject = h.subject AND g.position <= ?) "
            f"AND h.subject IN ({placeholders(len(part))})",
            [position, *part],
        )
        for row in rows:
            told = document(row[2])
            found[row[0]] = Member(
                kind="task", id=row[0], title=told["title"], version=told["version"], state=row[1],
                parts={part: told.get(part) for part in _TASK_PARTS},
            )  # fmt: skip
    return found


def _of(versions: Collection[tuple[str, int]]) -> list[tuple[str, list[Any]]]:
    """Return the condition on (artifact, version), and its values, for a chunk of versions at a time."""
    keys = sorted(versions)
    return [
        (
            f"(v.artifact, v.version) IN (VALUES {', '.join(['(?, ?)'] * len(chunk))})",
            [part for k in chunk for part in k],
        )
        for chunk in chunks(keys, 128)
    ]


def version_sizes(query: Query, versions: Collection[tuple[str, int]]) -> int:
    """Return how many characters of content these versions have together."""
    return sum(
        int(query(f"SELECT COALESCE(sum(length(v.content)), 0) FROM artifact_versions v WHERE {where}", values)[0][0])
        for where, values in _of(versions)
    )


def declarations(query: Query, versions: Collection[tuple[str, int]]) -> dict[str, dict[str, Any]]:
    """Return artifact → type, name, content, label, body and edges of one version each.

    ``edges`` are the ids of what it depended on; None where that was not recorded yet.
    """
    found: dict[str, dict[str, Any]] = {}
    for where, values in _of(versions):
        rows = query(
            "SELECT v.artifact, a.type, a.name, v.content, v.label, v.body, v.edges, v.position "
            "FROM artifact_versions v "
            f"JOIN artifacts a ON a.id = v.artifact WHERE {where}", values,
        )  # fmt: skip
        for artifact, kind, name, content, label, body, edges, position in rows:
            found[artifact] = {
                "type": kind, "name": name, "content": _decode(content), "label": label, "body": _decode(body),
                "edges": _decode(edges) if edges else [] if position else None,
            }  # fmt: skip
    return found
