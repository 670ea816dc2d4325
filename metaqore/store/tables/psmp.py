"""Projects, tasks, artifacts, their versions and edges, proposals that were blocked, and conflicts."""

from __future__ import annotations

from sqlalchemy import Index, Table, UniqueConstraint
from sqlalchemy import text as sql

from metaqore.store.tables.base import key, metadata, number, number_key, text

projects = Table(
    "projects",
    metadata,
    key(),
    text("organization"),
    text("name"),
    text("description"),
    text("owner"),
    text("mode"),
    text("state"),
    text("metadata"),
    number("version"),
    text("created_by"),
    number("created_at"),
    number("updated_at"),
    #: Where its history stands, and since when (never falls).
    number("position", default=0),
    number("position_at", default=0),
)
Index("ix_projects_organization", projects.c.organization, projects.c.id)

tasks = Table(
    "tasks",
    metadata,
    key(),
    text("organization"),
    text("project"),
    text("title"),
    text("state"),
    text("assigned_to", null=True),
    text("depends_on"),
    text("metadata"),
    number("version"),
    text("created_by"),
    number("created_at"),
    number("updated_at"),
)
Index("ix_tasks_project", tasks.c.project, tasks.c.id)

artifacts = Table(
    "artifacts",
    metadata,
    key(),
    text("organization"),
    text("project"),
    text("type"),
    text("name"),
    text("state"),
    number("head"),
    text("content_hash"),
    text("label"),
    #: Topological rank: every dependency has a smaller rank than its dependants.
    number("rank"),
    #: Which side tables have rows of it, as ``metaqore.psmp.holdings.Holds``.
    number("holds", default=0),
    #: At least the length of the longest chain of dependencies below it.
    number("depth", default=0),
    text("created_by"),
    text("updated_by"),
    number("created_at"),
    number("updated_at"),
    UniqueConstraint("project", "type", "name"),
)
Index("ix_artifacts_project", artifacts.c.project, artifacts.c.id)
# Hashes are spread over the whole index, so that nearly each version changes a page of its own: the shorter the key,
# the fewer. What begins with the same 48 bits is compared in full.
Index("ix_artifacts_content", sql("substr(content_hash, 8, 12)"), sql("substr(project, 33)"), artifacts.c.created_at)

artifact_versions = Table(
    "artifact_versions",
    metadata,
    key("artifact"),
    number_key("version"),
    text("organization"),
    text("content"),
    text("content_hash"),
    text("label"),
    number("base_version", null=True),
    #: JSON: depends_on, requires, claims, read_set, metadata, provenance.
    text("body"),
    text("request_id"),
    text("created_by"),
    number("created_at"),
    #: Since when it is there, as a position in the project's history.
    number("position", default=0),
    #: JSON: ids of what it depends on, as resolved when it was admitted.
    text("edges", null=True),
)

#: Every move of an alias, so that it can be looked up as of any position; the last one counts.
artifact_aliases = Table(
    "artifact_aliases",
    metadata,
    key("artifact"),
    key("alias"),
    number_key("position"),
    #: Null where it was taken away.
    number("version", null=True),
    text("set_by"),
    number("set_at"),
    sqlite_with_rowid=False,
)

#: How often each principal took its turn in a conversation (``metadata.conversation``).
conversations = Table(
    "conversations",
    metadata,
    key("project"),
    key("conversation"),
    key("principal"),
    number("turns"),
    sqlite_with_rowid=False,
)

artifact_edges = Table("artifact_edges", metadata, key("artifact"), key("depends_on"), sqlite_with_rowid=False)
Index("ix_artifact_edges_depends_on", artifact_edges.c.depends_on)

proposals = Table(
    "proposals",
    metadata,
    key(),
    text("organization"),
    text("project"),
    text("artifact", null=True),
    text("type"),
    text("name"),
    #: blocked, admitted or withdrawn.
    text("state"),
    text("request_id"),
    text("created_by"),
    number("created_at"),
    number("updated_at"),
    number("position", default=0),
)
Index("ix_proposals_project", proposals.c.project, proposals.c.id, sqlite_where=sql("state = 'blocked'"),
      postgresql_where=sql("state = 'blocked'"))  # fmt: skip

Index("ix_proposals_identity", proposals.c.project, proposals.c.type, proposals.c.name,
      sqlite_where=sql("state = 'blocked'"), postgresql_where=sql("state = 'blocked'"))  # fmt: skip

conflicts = Table(
    "conflicts",
    metadata,
    key(),
    text("organization"),
    text("project"),
    text("proposal", null=True),
    text("artifact", null=True),
    text("request_id"),
    text("class"),
    text("rule"),
    text("severity"),
    text("strategy"),
    text("mode"),
    #: open, resolved, or recorded (let through in playground, or resolved at once in adaptive).
    text("state"),
    #: JSON: what was found, and where.
    text("evidence"),
    text("resolution", null=True),
    text("resolved_by", null=True),
    number("resolved_at", null=True),
    number("created_at"),
    number("position", default=0),
)
Index("ix_conflicts_project", conflicts.c.project, conflicts.c.id)
Index("ix_conflicts_organization", conflicts.c.organization, conflicts.c.id)
Index("ix_conflicts_proposal", conflicts.c.proposal)
