"""Model calls: the ledger that makes an outside call happen once and be paid once."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Table, Text, UniqueConstraint

from metaqore.store.tables.base import key, metadata, number, text

llm_calls = Table(
    "llm_calls",
    metadata,
    key(),
    text("organization"),
    text("project", null=True),
    text("principal"),
    text("request_id"),
    # No decision, no call: SecureGateway's veto is a matter of schema, not of care.
    Column("decision_id", Text, ForeignKey("decisions.id"), nullable=False),
    text("provider"),
    text("model"),
    text("label"),
    text("prefix_hash"),
    text("batch_id", null=True),
    #: prepared, settled or failed.
    text("state"),
    #: JSON of the command as it was sent: what specialists may later be trained on.
    text("command"),
    #: The label from which on findings were replaced by names before the command was sent; null where nothing was.
    text("redacted", null=True),
    #: 0 where SecureGateway's decision forbids to learn from it.
    number("trainable", default=1),
    text("response", null=True),
    text("error", null=True),
    number("prompt_tokens", default=0),
    number("completion_tokens", default=0),
    number("cached_tokens", default=0),
    number("prepared_at"),
    number("settled_at", null=True),
    UniqueConstraint("request_id"),
)
Index("ix_llm_calls_organization", llm_calls.c.organization, llm_calls.c.settled_at)

budgets = Table(
    "budgets",
    metadata,
    key("organization"),
    #: organization, project or principal.
    key("scope"),
    #: The project, the principal; "" for the organization itself.
    key("subject"),
    #: calls, tokens, or money in millionths of the currency of the price list.
    key("unit"),
    #: total, day or month (UTC): when ``spent`` begins anew.
    text("period"),
    number("amount"),
    number("spent", default=0),
    number("reserved", default=0),
    number("window_start"),
    text("set_by"),
    number("set_at"),
    sqlite_with_rowid=False,
)

#: What a request that is not settled holds of a budget. What is held and what is ``budgets.reserved`` is the same.
reservations = Table(
    "reservations",
    metadata,
    key("request_id"),
    key("scope"),
    key("subject"),
    key("unit"),
    text("organization"),
    number("amount"),
    number("at"),
    sqlite_with_rowid=False,
)
