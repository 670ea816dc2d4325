"""The audit log: canonical bytes stored as they were hashed, one gapless sequence for each organization; how it is
sealed; and the keys under which what it speaks of is kept apart."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary, Table, UniqueConstraint

from metaqore.store.tables.base import key, metadata, number, number_key, text

audit_entries = Table(
    "audit_entries",
    metadata,
    key("organization"),
    number_key("seq"),
    text("tag"),
    text("actor"),
    text("project", null=True),
    text("request_id", null=True),
    number("ts_ms"),
    Column("body", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
# Receipts, reconciliation and provenance ask for what was recorded of a request.
Index("ix_audit_entries_request", audit_entries.c.organization, audit_entries.c.request_id)

#: Signed notes (C2SP tlog-checkpoint), each under the number of entries that it covers.
audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    key("organization"),
    number_key("size"),
    text("note"),
    number("sealed_at"),
    sqlite_with_rowid=False,
)

#: Up to 256 consecutive hashes of one tree level (C2SP tlog-tiles).
audit_tiles = Table(
    "audit_tiles",
    metadata,
    key("organization"),
    number_key("level"),
    number_key("tile_index"),
    Column("hashes", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

#: The verifier keys that signed, for those who ask which there are. Trust in one does not come from here.
audit_keys = Table("audit_keys", metadata, key("vkey"), number("created_at"), sqlite_with_rowid=False)

#: Who does a thing of which there must be one; ``fence`` is raised by whoever does it.
leases = Table(
    "leases", metadata, key("name"), text("owner"), number("fence"), number("until"), sqlite_with_rowid=False
)

#: The key of one data subject, wrapped by the installation's: destroying the row makes what it sealed unreadable.
subject_keys = Table(
    "subject_keys",
    metadata,
    key(),
    text("organization"),
    text("subject"),
    Column("wrapped", LargeBinary, nullable=False),
    number("created_at"),
    UniqueConstraint("organization", "subject"),
)

#: What was erased, and when that reached what is kept outside of the tables: broker and files of the database.
erasures = Table(
    "erasures",
    metadata,
    key(),
    text("organization"),
    text("subject"),
    text("subject_key"),
    text("basis"),
    text("requested_by"),
    number("erased_at"),
    number("results_at", null=True),
    number("files_at", null=True),
)
Index("ix_erasures_organization", erasures.c.organization, erasures.c.id)

#: What must not be erased or expire: a subject's data, or all of an organization's (subject is null).
legal_holds = Table(
    "legal_holds",
    metadata,
    key(),
    text("organization"),
    text("subject", null=True),
    text("reason"),
    text("placed_by"),
    number("placed_at"),
    number("released_at", null=True),
)
Index("ix_legal_holds_organization", legal_holds.c.organization, legal_holds.c.id)

#: Days that a class of payloads is kept, where an organization has chosen; the default is in the settings.
retention = Table(
    "retention", metadata, key("organization"), key("class"), number("days"), number("changed_at"),
    sqlite_with_rowid=False,
)  # fmt: skip
