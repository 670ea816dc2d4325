"""What the present versions of artifacts hold (requirements, claims, managed fields), and announced intents."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table, Text
from sqlalchemy import text as sql

from metaqore.store.tables.base import key, metadata, number, text

#: Package constraints of the heads; see ``metaqore.psmp.manifest`` for how they meet.
artifact_requirements = Table(
    "artifact_requirements",
    metadata,
    key("project"),
    key("ecosystem"),
    key("package"),
    key("environment"),
    key("specifier"),
    key("artifact"),
    text("scope"),
    text("declared_by"),
    sqlite_with_rowid=False,
)
Index("ix_artifact_requirements_artifact", artifact_requirements.c.artifact)

#: Paths and resources held by heads and open intents, and what open intents are going to read, write and make.
claims = Table(
    "claims",
    metadata,
    key("project"),
    #: path, resource, write, read or content.
    key("kind"),
    #: Of a path its literal prefix, else the whole; compared by code points, whatever the database's language.
    Column("prefix", Text().with_variant(Text(collation="C"), "postgresql"), primary_key=True),
    key("pattern"),
    #: The artifact or the intent.
    key("holder"),
    text("principal"),
    text("title"),
    #: The number of the request that made it.
    number("seq"),
    number("expires_at", null=True),
    sqlite_with_rowid=False,
)
Index("ix_claims_holder", claims.c.holder)

field_managers = Table(
    "field_managers",
    metadata,
    key("artifact"),
    #: JSON pointer.
    key("pointer"),
    key("manager"),
    text("value_hash"),
    #: The version from which on it has been managed.
    number("since"),
    sqlite_with_rowid=False,
)

intents = Table(
    "intents",
    metadata,
    key(),
    text("organization"),
    text("project"),
    text("principal"),
    text("purpose"),
    #: open, fulfilled or withdrawn; an open one counts until ``expires_at``.
    text("state"),
    #: JSON: reads, writes, claims.
    text("body"),
    #: JSON: the writes that are still to come, as "type/name".
    text("remaining"),
    text("request_id"),
    number("seq"),
    number("expires_at"),
    number("created_at"),
    number("updated_at"),
    #: Since when it is there, in the project's history.
    number("position", default=0),
)
Index("ix_intents_project", intents.c.project, intents.c.id)
Index("ix_intents_open", intents.c.project, intents.c.expires_at, sqlite_where=sql("state = 'open'"),
      postgresql_where=sql("state = 'open'"))  # fmt: skip
