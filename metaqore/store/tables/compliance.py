"""Reports on controls: what each says in short, and its document as it was made."""

from __future__ import annotations

from sqlalchemy import Index, Table

from metaqore.store.tables.base import key, metadata, number, text

#: ``document`` is the JSON form, byte for byte what ``digest`` was made of. It holds ids, codes and counts only.
compliance_reports = Table(
    "compliance_reports",
    metadata,
    key(),
    text("organization"),
    text("framework"),
    number("period_start"),
    number("period_end"),
    text("created_by"),
    text("request_id"),
    number("created_at"),
    number("entries"),
    text("summary"),
    text("digest"),
    text("document"),
)
Index("ix_compliance_reports_organization", compliance_reports.c.organization, compliance_reports.c.id)
