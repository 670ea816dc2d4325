"""Where audit entries are streamed to."""

from __future__ import annotations

from sqlalchemy import Table, UniqueConstraint

from metaqore.store.tables.base import key, metadata, number, text

audit_sinks = Table(
    "audit_sinks",
    metadata,
    key(),
    text("organization"),
    text("name"),
    #: webhook or file.
    text("kind"),
    text("target"),
    #: structured or batch.
    text("mode"),
    text("secret"),
    #: The last entry that was taken.
    number("cursor", default=0),
    number("failures", default=0),
    number("fence", default=0),
    number("lease_until", default=0),
    number("next_at", default=0),
    text("last_error", null=True),
    number("taken_at", null=True),
    text("created_by"),
    number("created_at"),
    UniqueConstraint("organization", "name"),
)
