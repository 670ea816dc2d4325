"""API keys and assessments, as they come in and go out."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from api.schemas.strict import Boolean, Moment, choice, text
from metaqore.security.key_handlers import MAX_OVERLAP_S
from metaqore.security.keys import ALL, ROLES, SCOPES, PrincipalKind
from metaqore.security.model import Label, Position
from metaqore.security.tokens import DELEGABLE, MAX_LIFETIME_S


class KeySchema(Schema):
    """An API key, without its secret."""

    id = fields.String(required=True)
    principal = fields.String(required=True)
    kind = fields.String(metadata={"description": "What the principal is: person, agent or service"})
    name = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    environment = fields.String(
        allow_none=True, metadata={"description": "live or test; null for a key from before this was kept"}
    )
    created_by = fields.String()
    created_at = Moment(required=True)
    expires_at = Moment(allow_none=True)
    revoked_at = Moment(allow_none=True)
    rotated_at = Moment(allow_none=True)
    previous_until = Moment(
        allow_none=True, metadata={"description": "Until when the secret before the last rotation works"}
    )


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
    kind = choice(*PrincipalKind, metadata={"description": "What the principal is; its first key decides"})
    scopes = fields.List(choice(*SCOPES, ALL), validate=validate.Length(1, 64))
    role = choice(*ROLES, metadata={"description": "A set of scopes by name, instead of or beside scopes"})
    expires_at = fields.AwareDateTime(
        format="iso", allow_none=True, metadata={"description": "RFC 3339 with an offset"}
    )


class RotateKeySchema(Schema):
    """How a key is rotated."""

    overlap_s = fields.Integer(
        load_default=3600, strict=True, validate=validate.Range(0, MAX_OVERLAP_S),
        metadata={"description": "Seconds for which the secret that it had still works"},
    )  # fmt: skip


class RotatedKeySchema(Schema):
    """A key with its new secret, which is shown this once."""

    id = fields.String(required=True)
    principal = fields.String(required=True)
    rotated_at = Moment(required=True)
    previous_until = Moment(required=True)
    secret = fields.String(allow_none=True)


class TokenSchema(Schema):
    """A delegated token, without what proves it."""

    id = fields.String(required=True)
    principal = fields.String(required=True, metadata={"description": "delegator/agent: the author in every record"})
    delegator = fields.String(required=True)
    project = fields.String(required=True)
    task = fields.String(allow_none=True)
    scopes = fields.List(fields.String(), required=True)
    created_at = Moment(required=True)
    expires_at = Moment(required=True)
    revoked_at = Moment(allow_none=True)


class CreatedTokenSchema(TokenSchema):
    """A delegated token with its text."""

    token = fields.String(required=True, metadata={"description": "Send it as Authorization: Bearer mqd_…"})


class NewTokenSchema(Schema):
    """What is handed on, to whom and for how long."""

    agent = text(64, required=True, metadata={"description": "Letters, digits, dots, hyphens and underscores"})
    project = text(64, required=True)
    task = text(64, allow_none=True, metadata={"description": "The token ends with this task"})
    scopes = fields.List(choice(*sorted(DELEGABLE)), required=True, validate=validate.Length(1, 32))
    expires_in_s = fields.Integer(load_default=900, strict=True, validate=validate.Range(1, MAX_LIFETIME_S))


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
