"""Look-ups of projects, tasks, artifacts, conflicts, and what stands in a project's way."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec

from metaqore.store.bulk import placeholders
from metaqore.store.views.lookup import Lookup, Page, Row, paged

_ARTIFACT = "id, project, type, name, state, head, content_hash, label, created_by, updated_by, created_at, updated_at"
_VERSION = (
    "artifact, version, content, content_hash, label, base_version, body, request_id, created_by, created_at, "
    "position"
)  # fmt: skip
_CONFLICT = (
    "id, project, proposal, artifact, request_id, class, rule, severity, strategy, mode, state, evidence, "
    "resolution, resolved_by, resolved_at, created_at"
)
_decode = msgspec.json.decode


class PsmpViews(Lookup):
    """Look-ups of PSMP."""

    def project(self, organization: str, project: str) -> Row | None:
        """Return one project."""
        row = self.row("SELECT * FROM projects WHERE id = ? AND organization = ?", (project, organization))
        return None if row is None else _with_json(row, "metadata")

    def projects(self, organization: str, *, state: str | None, after: str | None, limit: int) -> Page:
        """Return projects in the order of their creation."""
        where = {"organization": organization, "state": state}
        return _pages(self.page("*", "projects", where, key="id", after=after, limit=limit), "metadata")

    def existing_projects(self, organization: str, ids: Sequence[str]) -> set[str]:
        """Return those of ``ids`` that are projects of the organization."""
        rows = self.rows(
            f"SELECT id FROM projects WHERE organization = ? AND id IN ({placeholders(len(ids))})", [organization, *ids]
        )
        return {row["id"] for row in rows}

    def task(self, organization: str, task: str) -> Row | None:
        """Return one task."""
        row = self.row("SELECT * FROM tasks WHERE id = ? AND organization = ?", (task, organization))
        return None if row is None else _with_json(row, "metadata", "depends_on")

    def tasks(
        self, organization: str, project: str, *, state: str | None, assigned_to: str | None, after: str | None,
        limit: int,
    ) -> Page:  # fmt: skip
        """Return the tasks of a project in the order of their creation."""
        where = {"organization": organization, "project": project, "state": state, "assigned_to": assigned_to}
        found = self.page("*", "tasks", where, key="id", after=after, limit=limit)
        return _pages(found, "metadata", "depends_on")

    def artifact(self, organization: str, artifact: str) -> Row | None:
        """Return one artifact with the content of its head version."""
        row = self.row(f"SELECT {_ARTIFACT} FROM artifacts WHERE id = ? AND organization = ?", (artifact, organization))
        if row is None:
            return None
        version = self.version(organization, artifact, row["head"])
        body = {} if version is None else {k: version[k] for k in ("content", "base_version", "body", "request_id")}
        return {**row, "version": row["head"], **body}

    def head(self, organization: str, project: str, kind: str, name: str) -> int:
        """Return the present version under an identity; 0 where there is none."""
        row = self.row(
            "SELECT head FROM artifacts WHERE project = ? AND type = ? AND name = ? AND organization = ?",
            (project, kind, name, organization),
        )
        return 0 if row is None else int(row["head"])

    def project_of(self, organization: str, table: str, key: str) -> str | None:
        """Return the project of an artifact, conflict, proposal or task."""
        if table not in ("artifacts", "conflicts", "proposals", "tasks"):
            raise ValueError(table)
        row = self.row(f"SELECT project FROM {table} WHERE id = ? AND organization = ?", (key, organization))
        return None if row is None else row["project"]

    def artifacts(
        self, organization: str, project: str, *, type: str | None, name: str | None, state: str | None,  # noqa: A002
        after: str | None, limit: int,
    ) -> Page:  # fmt: skip
        """Return the artifacts of a project, without contents, in the order of their creation."""
        where = {"organization": organization, "project": project, "type": type, "name": name, "state": state}
        found = self.page(_ARTIFACT, "artifacts", where, key="id", after=after, limit=limit)
        return Page([{**row, "version": row["head"]} for row in found.items], found.last)

    def versions(self, organization: str, artifact: str, *, after: int | None, limit: int) -> Page:
        """Return the versions of an artifact, without contents, the newest first."""
        columns = "artifact, version, content_hash, label, base_version, request_id, created_by, created_at, position"
        where = {"artifact": artifact, "organization": organization}
        return self.page(
            columns, "artifact_versions", where, key="version", after=after, limit=limit, descending=True
        )  # fmt: skip

    def version(self, organization: str, artifact: str, version: int) -> Row | None:
        """Return one version with its content."""
        row = self.row(
            f"SELECT {_VERSION} FROM artifact_versions WHERE artifact = ? AND version = ? AND organization = ?",
            (artifact, version, organization),
        )
        return None if row is None else _with_json(row, "content", "body")

    def conflict(self, organization: str, conflict: str) -> Row | None:
        """Return one conflict."""
        row = self.row(f"SELECT {_CONFLICT} FROM conflicts WHERE id = ? AND organization = ?", (conflict, organization))
        return None if row is None else _with_json(row, "evidence")

    def conflicts(
        self, organization: str, *, project: str | None, state: str | None, severity: str | None,
        conflict_class: str | None, after: str | None, limit: int,
    ) -> Page:  # fmt: skip
        """Return conflicts, the newest first."""
        where = {"organization": organization, "project": project, "state": state, "severity": severity,
                 "class": conflict_class}  # fmt: skip
        found = self.page(_CONFLICT, "conflicts", where, key="id", after=after, limit=limit, descending=True)
        return _pages(found, "evidence")

    def blocked(self, organization: str, project: str, *, after: str | None, limit: int) -> Page:
        """Return the blocked proposals of a project, each with its unresolved conflicts.

        ``head_version`` is the present one.
        """
        conditions, values = "p.project = ? AND p.state = 'blocked' AND p.organization = ?", [project, organization]
        if after is not None:
            conditions, values = conditions + " AND p.id > ?", [*values, after]
        rows = self.rows(
            "SELECT p.id, p.type, p.name, p.artifact, p.request_id, p.created_by, p.created_at, r.result, a.head "
            "FROM proposals p JOIN requests r ON r.id = p.request_id LEFT JOIN artifacts a ON a.id = p.artifact "
            f"WHERE {conditions} ORDER BY p.id LIMIT ?",
            [*values, limit + 1],
        )
        found = paged(rows, "id", limit)
        conflicts = self._open_conflicts([row["id"] for row in found.items])
        return Page([blocked_item(row, conflicts[row["id"]]) for row in found.items], found.last)

    def _open_conflicts(self, proposals: Sequence[str]) -> defaultdict[str, list[Row]]:
        grouped: defaultdict[str, list[Row]] = defaultdict(list)
        if proposals:
            for row in self.rows(
                f"SELECT {_CONFLICT} FROM conflicts WHERE proposal IN ({placeholders(len(proposals))}) "
                "AND state IN ('open', 'escalated') ORDER BY id",
                proposals,
            ):
                grouped[row["proposal"]].append(_with_json(row, "evidence"))
        return grouped

    def standing(self, organization: str, project: str) -> dict[str, Any]:
        """Return how many unresolved conflicts a project has, by severity and by class."""
        rows = self.rows(
            "SELECT class, severity, count(*) AS n FROM conflicts WHERE project = ? AND organization = ? "
            "AND state IN ('open', 'escalated') GROUP BY class, severity",
            (project, organization),
        )
        return summed(rows)


def summed(rows: Sequence[Row]) -> dict[str, Any]:
    """Return how many conflicts there are in all, by class and by severity; a row stands for ``n`` of them."""
    by_class: Counter[str] = Counter()
    by_severity: Counter[str] = Counter()
    for row in rows:
        by_class[row["class"]] += row["n"]
        by_severity[row["severity"]] += row["n"]
    return {"open": by_class.total(), "by_class": dict(by_class), "by_severity": dict(by_severity)}


def blocked_item(row: Row, conflicts: Sequence[Row]) -> dict[str, Any]:
    """Return a blocked proposal as a blocking report lists it."""
    report = _decode(row["result"] or "{}").get("blocking_report", {})
    return {
        "proposal": row["id"],
        "artifact": {"id": row["artifact"], "type": row["type"], "name": row["name"]},
        "request": row["request_id"],
        "created_by": row["created_by"],
        "created_at": row["created_at"],
        "base_version": report.get("base_version", 0),
        "head_version": row["head"] or 0,
        "conflicts": conflicts,
    }


def _with_json(row: Row, *columns: str) -> dict[str, Any]:
    return {**row, **{column: _decode(row[column]) for column in columns}}


def _pages(found: Page, *columns: str) -> Page:
    return Page([_with_json(row, *columns) for row in found.items], found.last)
