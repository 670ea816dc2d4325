"""The audit log: canonical bytes stored as they were hashed, one gapless sequence for each organization."""

from __future__ import annotations

from sqlalchemy import Column, LargeBinary, Table

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
