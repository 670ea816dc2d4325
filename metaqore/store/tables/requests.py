"""Requests, their idempotency keys, and the per-organization counters."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Index, Table, UniqueConstraint
from sqlalchemy import text as sql

from metaqore.store.tables.base import AutoKey, key, metadata, number, number_key, text

requests = Table(
    "requests",
    metadata,
    Column("seq", AutoKey, primary_key=True, autoincrement=True),
    text("id"),
    text("organization"),
    text("project", null=True),
    text("principal"),
    text("kind"),
    text("queue"),
    text("ordering_key", null=True),
    text("payload"),
    text("state"),
    text("verdict", null=True),
    text("result", null=True),
    text("error", null=True),
    number("attempt", default=0),
    number("fence", default=0),
    text("lease_owner", null=True),
    number("lease_until", null=True),
    number("available_at"),
    number("created_at"),
    number("finished_at", null=True),
    #: Whose data the payload is, where it is not the principal's own.
    text("subject", null=True),
    UniqueConstraint("id"),
    CheckConstraint(
        "state IN ('accepted', 'running', 'succeeded', 'failed', 'cancelled', 'dead')", name="state_is_known"
    ),
)

Index(
    "ix_requests_open", requests.c.queue, requests.c.seq,
    sqlite_where=sql("state IN ('accepted', 'running')"), postgresql_where=sql("state IN ('accepted', 'running')"),
)  # fmt: skip
Index("ix_requests_organization_seq", requests.c.organization, requests.c.seq)

idempotency = Table(
    "idempotency",
    metadata,
    key("organization"),
    key("principal"),
    key("route"),
    key("key"),
    text("fingerprint"),
    #: JSON list of request ids, in the order in which they were sent.
    text("requests"),
    number("created_at"),
)
Index("ix_idempotency_created_at", idempotency.c.created_at)

counters = Table(
    "counters",
    metadata,
    key("organization"),
    number("audit_seq", default=0),
    number("event_seq", default=0),
    #: Raised by every change of policies and stops: whoever knows the same number knows how they stand.
    number("gate", default=0),
)

schedule_fires = Table("schedule_fires", metadata, key("schedule"), number_key("fire_at"), number("fired_at"))

request_progress = Table(
    "request_progress",
    metadata,
    key("request"),
    text("organization"),
    number("fence"),
    #: What is counted.
    text("of"),
    number("done"),
    number("total", null=True),
    number("at"),
)

worker_progress = Table(
    "worker_progress", metadata, key("worker"), key("queue"), number("at"), number("drained", default=0)
)
