"""Events, webhook endpoints and deliveries."""

from __future__ import annotations

from sqlalchemy import Index, Table, UniqueConstraint
from sqlalchemy import text as sql

from metaqore.store.tables.base import key, metadata, number, number_key, text

events = Table(
    "events",
    metadata,
    key("organization"),
    number_key("seq"),
    text("id"),
    text("project", null=True),
    text("type"),
    text("subject"),
    text("request_id"),
    text("data"),
    number("created_at"),
    sqlite_with_rowid=False,
)

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    key(),
    text("organization"),
    text("project", null=True),
    text("url"),
    text("secret"),
    #: JSON list of patterns: ``*``, ``artifact.*`` or an exact type.
    text("events"),
    #: active or disabled.
    text("state"),
    text("reason", null=True),
    text("created_by"),
    number("created_at"),
    number("updated_at"),
)
Index("ix_webhook_endpoints_organization", webhook_endpoints.c.organization, webhook_endpoints.c.id)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    key(),
    text("organization"),
    text("endpoint"),
    text("event_id"),
    number("event_seq"),
    #: pending, delivered or dead.
    text("state"),
    number("attempt", default=0),
    number("fence", default=0),
    number("next_at"),
    number("lease_until", null=True),
    number("last_status", null=True),
    text("last_error", null=True),
    number("latency_ms", null=True),
    number("created_at"),
    number("delivered_at", null=True),
    UniqueConstraint("endpoint", "event_id"),
)
Index("ix_webhook_deliveries_pending", webhook_deliveries.c.next_at, sqlite_where=sql("state = 'pending'"),
      postgresql_where=sql("state = 'pending'"))  # fmt: skip
Index("ix_webhook_deliveries_endpoint", webhook_deliveries.c.endpoint, webhook_deliveries.c.id)
