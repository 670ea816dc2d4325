"""Organizations, API keys and the decisions of SecureGateway."""

from __future__ import annotations

from sqlalchemy import Index, Table

from metaqore.store.tables.base import key, metadata, number, text

organizations = Table("organizations", metadata, key(), text("name"), number("created_at"))

api_keys = Table(
    "api_keys",
    metadata,
    key(),
    text("organization"),
    text("principal"),
    text("name"),
    text("secret_hash"),
    #: JSON list of scopes.
    text("scopes"),
    text("created_by"),
    number("created_at"),
    number("expires_at", null=True),
    number("revoked_at", null=True),
)
Index("ix_api_keys_organization", api_keys.c.organization, api_keys.c.id)

decisions = Table(
    "decisions",
    metadata,
    key(),
    text("organization"),
    text("project", null=True),
    text("request_id"),
    text("principal"),
    text("verdict"),
    text("label"),
    text("policy"),
    text("policy_digest"),
    text("provider", null=True),
    #: JSON: reasons, rules, findings without values, allowed providers, obligations.
    text("body"),
    number("created_at"),
)
Index("ix_decisions_request_id", decisions.c.request_id)
Index("ix_decisions_organization", decisions.c.organization, decisions.c.id)
