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
    #: The secret before the last rotation; signs beside the present one until ``previous_until``.
    text("previous_secret", null=True),
    number("previous_until", null=True),
    #: JSON list of patterns: ``*``, ``artifact.*`` or an exact type.
    text("events"),
    #: active or disabled.
    text("state"),
    text("reason", null=True),
    #: The receiver asked for a pause until then.
    number("not_before", default=0),
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
_pending, _leased = sql("state = 'pending'"), sql("lease_until IS NOT NULL")
# What is due is asked for endpoint by endpoint, so that the backlog of one costs the others nothing.
Index("ix_webhook_deliveries_pending", webhook_deliveries.c.endpoint, webhook_deliveries.c.next_at,
      webhook_deliveries.c.id, sqlite_where=_pending, postgresql_where=_pending)  # fmt: skip
Index("ix_webhook_deliveries_leased", webhook_deliveries.c.lease_until, sqlite_where=_leased,
      postgresql_where=_leased)  # fmt: skip
Index("ix_webhook_deliveries_endpoint", webhook_deliveries.c.endpoint, webhook_deliveries.c.id)
