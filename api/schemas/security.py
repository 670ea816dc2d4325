"""API keys and assessments, as they come in and go out."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from api.schemas.strict import Boolean, Moment, choice, text
from metaqore.security.keys import ALL, SCOPES
from metaqore.security.model import Label, Position


class KeySchema(Schema):
    """An API key, without its secret."""

    id = fields.String(required=True)
    principal = fields.String(required=True)
    name = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    created_by = fields.String()
    created_at = Moment(required=True)
    expires_at = Moment(allow_none=True)
    revoked_at = Moment(allow_none=True)


class CreatedKeySchema(KeySchema):
    """An API key with its secret, which is shown this once."""

    secret = fields.String(
        allow_none=True,
        metadata={"description": "The whole key. Null where this is the replay of an earlier answer: it is not kept"},
    )


class NewKeySchema(Schema):
    """What a new key needs."""

    name = text(200, required=True)
    principal = text(200, required=True, metadata={"description": "Who acts with it: the author in every record"})
    scopes = fields.List(choice(*SCOPES, ALL), required=True, validate=validate.Length(1, 64))
    expires_at = fields.AwareDateTime(
        format="iso", allow_none=True, metadata={"description": "RFC 3339 with an offset"}
    )


class AssessSchema(Schema):
    """A content, and what its sender declares about it. Flags raise the sensitivity, never lower it."""

    project = fields.String(allow_none=True, validate=validate.Length(1, 64))
    content = fields.Raw(required=True, allow_none=True, metadata={"description": "Any JSON value"})
    task_type = fields.String(validate=validate.Length(max=200))
    agent_name = fields.String(validate=validate.Length(max=200))
    has_private_data = Boolean()
    has_sensitive_data = Boolean()
    is_security_task = Boolean()
    label = choice(*Label.__members__)
    position = choice(*Position)
    provider = fields.String(validate=validate.Length(1, 200))
