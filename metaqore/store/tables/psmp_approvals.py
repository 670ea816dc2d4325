"""Approvals: what a person is asked to decide, bound to the content that was shown."""

from __future__ import annotations

from sqlalchemy import Index, Table
from sqlalchemy import text as sql

from metaqore.store.tables.base import key, metadata, number, text

approvals = Table(
    "approvals",
    metadata,
    key(),
    text("organization"),
    text("project", null=True),
    #: What is to be decided: ``proposal``, or a word of the feature that asks.
    text("subject_kind"),
    text("subject"),
    #: SHA-256 of what an approval would let through, and nothing else.
    text("content_hash"),
    #: JSON: the state of the world it was opened in, e.g. the head version.
    text("base"),
    #: The scope that whoever answers must have.
    text("needed_scope"),
    text("reason"),
    #: open, approved, denied, expired or withdrawn.
    text("state"),
    #: Whose content it is; may not approve it.
    text("author"),
    text("requested_by"),
    text("answered_by", null=True),
    text("answer", null=True),
    number("expires_at"),
    number("created_at"),
    number("answered_at", null=True),
    #: Since when it is there, in the history of its project.
    number("position", default=0),
)
Index("ix_approvals_organization", approvals.c.organization, approvals.c.id)
Index("ix_approvals_subject", approvals.c.subject_kind, approvals.c.subject)
_OPEN = sql("state = 'open'")
Index("ix_approvals_due", approvals.c.expires_at, sqlite_where=_OPEN, postgresql_where=_OPEN)
#: One question at a time about one thing.
Index("uq_approvals_open", approvals.c.organization, approvals.c.subject_kind, approvals.c.subject, unique=True,
      sqlite_where=_OPEN, postgresql_where=_OPEN)  # fmt: skip
