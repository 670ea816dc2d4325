"""Patterns found in repeated work, and the specialists trained for them."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary, Table, UniqueConstraint

from metaqore.store.tables.base import key, metadata, number, text

patterns = Table(
    "patterns",
    metadata,
    key(),
    text("organization"),
    text("signature"),
    #: proposed, training, specialised or refused.
    text("state"),
    number("support"),
    #: JSON: agents, output type, labels, example skeleton, economics.
    text("body"),
    text("request_id"),
    number("created_at"),
    number("updated_at"),
    UniqueConstraint("organization", "signature"),
)

specialists = Table(
    "specialists",
    metadata,
    key(),
    text("organization"),
    text("pattern"),
    number("version"),
    #: active, refused or retired.
    text("state"),
    #: JSON: data, code and policy hashes, seed, splits.
    text("manifest"),
    #: JSON: every gate stage with what was measured.
    text("gate"),
    Column("weights", LargeBinary, nullable=True),
    text("request_id"),
    number("created_at"),
    UniqueConstraint("pattern", "version"),
)
Index("ix_specialists_organization", specialists.c.organization, specialists.c.id)
