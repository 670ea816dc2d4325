"""Aliases, deletions and declassifications, as they come in and go out."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from api.schemas.moments import AsOfQuery
from api.schemas.strict import Integer, Moment, choice, text
from metaqore.psmp.declaration import LABELS
from metaqore.psmp.declassification import MAX_REASON


class AliasQuery(AsOfQuery):
    """Which version of an artifact, and when."""

    alias = fields.String(
        load_default=None, validate=validate.Length(1, 64),
        metadata={"description": "latest, released, or another alias (or number) of a version"},
    )  # fmt: skip


class AliasSchema(Schema):
    """A name for a version."""

    alias = fields.String(required=True)
    version = Integer(required=True)
    set_by = fields.String(required=True)
    set_at = Moment(required=True)


class AliasesSchema(Schema):
    """All aliases of an artifact."""

    items = fields.List(fields.Nested(AliasSchema), required=True)


class NewAliasSchema(Schema):
    """Which version an alias is to name."""

    version = Integer(required=True, validate=validate.Range(1))


class DeleteQuery(Schema):
    """What becomes of those that depend on what is deleted."""

    cascade = fields.Boolean(load_default=False, metadata={"description": "Delete them too"})
    deprecate = fields.Boolean(load_default=False, metadata={"description": "Only deprecate the artifact instead"})


class DeclassifySchema(Schema):
    """To which label, and why."""

    label = choice(*LABELS, required=True)
    reason = text(MAX_REASON, required=True, metadata={"description": "Kept with the version"})
