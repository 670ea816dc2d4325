"""Announced intents and the joint manifest, as they come in and go out."""

from __future__ import annotations

from typing import Any

import msgspec
from marshmallow import Schema, fields, validate

from api.schemas.moments import PastPageQuery
from api.schemas.psmp_parts import ClaimsField, ClaimsSchema, ReferenceSchema
from api.schemas.strict import Integer, Moment, choice, text
from metaqore.psmp.intents import MAX_EXPIRES_S, MAX_PURPOSE, MAX_TOUCHES, Announce, check

INTENT_STATES = ("open", "fulfilled", "withdrawn", "expired")


class TouchSchema(ReferenceSchema):
    """An artifact that is going to be read or written: by id, or by type and name."""

    base_version = Integer(allow_none=True, metadata={"description": "The version that you know of"})
    content_hash = fields.String(allow_none=True, metadata={"description": "What it is going to be: sha256:<hex>"})


class AnnounceSchema(Schema):
    """What you are going to read and write, and until when that binds others."""

    purpose = text(MAX_PURPOSE, required=True, metadata={"example": "rewrite the parser"})
    expires_in_s = Integer(required=True, validate=validate.Range(1, MAX_EXPIRES_S))
    writes = fields.List(fields.Nested(TouchSchema), validate=validate.Length(max=MAX_TOUCHES))
    reads = fields.List(fields.Nested(TouchSchema), validate=validate.Length(max=MAX_TOUCHES))
    claims = ClaimsField(metadata={"description": "Paths; or paths and resources"})


class IntentSchema(Schema):
    """An announced intent."""

    id = fields.String(required=True)
    project = fields.String(required=True)
    principal = fields.String(required=True)
    purpose = fields.String(required=True)
    state = choice(*INTENT_STATES, required=True)
    writes = fields.List(fields.Nested(TouchSchema), required=True)
    reads = fields.List(fields.Nested(TouchSchema), required=True)
    claims = fields.Nested(ClaimsSchema, required=True)
    remaining = fields.List(
        fields.String(), required=True, metadata={"description": "Announced writes that are not there yet"}
    )
    request = fields.String(attribute="request_id", required=True)
    expires_at = Moment(required=True)
    created_at = Moment(required=True)
    updated_at = Moment(required=True)


class IntentQuery(PastPageQuery):
    """Which intents."""

    state = choice(*INTENT_STATES, load_default="open")


class RequiredBySchema(Schema):
    """An artifact that requires a package."""

    artifact = fields.String(required=True)
    type = fields.String(required=True)
    name = fields.String(required=True)
    specifier = fields.String(required=True)
    scope = choice("runtime", "dev", "build", required=True)
    declared_by = fields.String(required=True)


class ManifestEntrySchema(Schema):
    """What all artifacts of a project together ask of one package."""

    ecosystem = choice("pypi", "npm", required=True)
    package = fields.String(required=True)
    environment = choice(
        "run", "build", required=True,
        metadata={"description": "runtime and dev requirements meet in run, build requirements only each other"},
    )  # fmt: skip
    constraint = fields.String(
        required=True, allow_none=True, metadata={"description": "One specifier that says what all say"}
    )
    satisfiable = fields.Boolean(required=True, allow_none=True)
    undecided = fields.Boolean(
        required=True,
        metadata={"description": "true: solving it takes more than one page may; ask for it with a page_size of 1"},
    )
    witness = fields.String(required=True, allow_none=True, metadata={"description": "A version that satisfies all"})
    core = fields.List(
        fields.String(), required=True,
        metadata={"description": "Where nothing satisfies all: specifiers that contradict each other, none needless"},
    )  # fmt: skip
    required_by = fields.List(fields.Nested(RequiredBySchema), required=True)


def announced(body: dict[str, Any]) -> dict[str, Any]:
    """Return the payload of ``intent.announce``, checked as the engine will.

    Raises:
        InvalidInput: it binds nobody to anything, or a path is none.
    """
    check(msgspec.convert(body, Announce))
    return body
