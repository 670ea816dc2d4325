"""A project's history: which decisions it is made of, when they were made, what they changed; and checkpoints.

Versions of artifacts are history by themselves (``artifact_versions.position``). Whatever is overwritten in place
leaves a row in ``record_history``.
"""

from __future__ import annotations

from sqlalchemy import Index, Table
from sqlalchemy import text as sql

from metaqore.store.tables.base import key, metadata, number, number_key, text

project_history = Table(
    "project_history",
    metadata,
    key("project"),
    #: The last position of one commit; the one before it ended at ``first - 1``.
    number_key("last"),
    number("first"),
    #: Never falls, whatever the clock does.
    number("at"),
    #: JSON: for each position first..last, the id of its request, then those of the artifacts and tasks it changed.
    text("steps"),
)

record_history = Table(
    "record_history",
    metadata,
    #: Id of an artifact, task, project, conflict, proposal, intent or approval.
    key("subject"),
    number_key("position"),
    text("project"),
    text("kind"),
    #: The state it has from this position on, and the one it had before (null where it is new).
    text("state"),
    text("was", null=True),
    #: JSON: its other columns, for what has no versions of its own (tasks, projects, conflicts, intents).
    text("document", null=True),
    text("changed_by", null=True),
    number("at"),
    sqlite_with_rowid=False,
)
Index("ix_record_history_project", record_history.c.project, record_history.c.position)

checkpoints = Table(
    "checkpoints",
    metadata,
    key(),
    text("organization"),
    text("project"),
    text("name"),
    text("note"),
    number("position"),
    text("created_by"),
    number("created_at"),
    number("expires_at", null=True),
    #: A deleted one keeps its row: audit entries and restores name it. Its name is free again.
    number("deleted_at", null=True),
    #: Where the project stood when it was named, and when it was deleted.
    number("since", default=0),
    number("deleted_position", null=True),
    #: Who works from it, and until when that counts.
    text("held_by", null=True),
    number("held_until", null=True),
)
Index("ix_checkpoints_project", checkpoints.c.project, checkpoints.c.id)
Index("uq_checkpoints_name", checkpoints.c.project, checkpoints.c.name, unique=True,
      sqlite_where=sql("deleted_at IS NULL"), postgresql_where=sql("deleted_at IS NULL"))  # fmt: skip
Index("ix_checkpoints_due", checkpoints.c.expires_at,
      sqlite_where=sql("deleted_at IS NULL AND expires_at IS NOT NULL"),
      postgresql_where=sql("deleted_at IS NULL AND expires_at IS NOT NULL"))  # fmt: skip
