"""Patterns found in repeated work, and the specialists trained for them."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, Table, Text, UniqueConstraint

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
    #: proposed, active, refused or retired.
    text("state"),
    #: JSON: data, code and policy hashes, seed, splits.
    text("manifest"),
    #: JSON: every gate stage with what was measured.
    text("gate"),
    Column("weights", LargeBinary, nullable=True),
    text("request_id"),
    number("created_at"),
    #: SHA-256 of the manifest, and through it of the weights; null where it was trained before calls were routed.
    text("digest", null=True),
    UniqueConstraint("pattern", "version"),
)
Index("ix_specialists_organization", specialists.c.organization, specialists.c.id)

#: Model calls that a specialist was asked about. No content: the answer is in the request's result.
specialist_calls = Table(
    "specialist_calls",
    metadata,
    key(),
    text("organization"),
    text("project", null=True),
    text("request_id"),
    # As for outside calls: no decision, no answer.
    Column("decision_id", Text, ForeignKey("decisions.id"), nullable=False),
    text("specialist"),
    #: served, abstained, audited or shadow.
    text("kind"),
    #: 1 where specialist and teacher said the same, 0 where not; null where only one of them was asked.
    number("agreed", null=True),
    #: In millionths.
    number("confidence"),
    #: Estimated tokens that did not have to be bought.
    number("saved_tokens", default=0),
    number("at"),
    UniqueConstraint("request_id", "specialist"),
)
Index("ix_specialist_calls_specialist", specialist_calls.c.specialist, specialist_calls.c.kind, specialist_calls.c.id)

#: ``specialist_calls``, counted.
specialist_counts = Table(
    "specialist_counts",
    metadata,
    key("specialist"),
    key("kind"),
    text("organization"),
    number("calls", default=0),
    number("agreed", default=0),
    number("saved_tokens", default=0),
    number("last_at"),
    sqlite_with_rowid=False,
)
