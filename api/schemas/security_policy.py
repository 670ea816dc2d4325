"""Custom policies, decisions and stops, as they come in and go out."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from api.schemas.strict import Integer, Moment, choice, text
from metaqore.security.stops import KINDS

_PROJECT: dict[str, Any] = {"validate": validate.Length(1, 64)}


class PolicyDocumentSchema(Schema):
    """What a policy adds to those below it: nothing of it can loosen them."""

    policy = fields.Raw(
        metadata={
            "description": "A routing policy that also has to admit a provider: the name of one, or "
            "{routing: label to provider classes, threats, obligations}"
        }
    )
    otherwise = choice("allow", "deny", metadata={"description": "What becomes of what no rule allows"})
    rules = fields.List(
        fields.Dict(keys=fields.String()),
        validate=validate.Length(max=500),
        metadata={"description": "id, version, mode, when (CEL), effect, message and, if you like, tests"},
    )


class NewPolicySchema(Schema):
    """A new version of the policy of the organization, or of a project."""

    project = fields.String(allow_none=True, metadata={"description": "Null: of the organization"}, **_PROJECT)
    document = fields.Nested(PolicyDocumentSchema, required=True)
    reason = text(500, required=True)
    version = Integer(
        allow_none=True,
        validate=validate.Range(0),
        metadata={"description": "The version that was read; another one is 412"},
    )


class PreviewPolicySchema(Schema):
    """A policy to be tried on what was decided lately."""

    project = fields.String(allow_none=True, metadata={"description": "Null: of the organization"}, **_PROJECT)
    document = fields.Nested(PolicyDocumentSchema, required=True)
    decisions = Integer(
        load_default=200, validate=validate.Range(1, 1000), metadata={"description": "How many, the latest ones"}
    )


class ChangedSchema(Schema):
    """A decision that would be another one."""

    decision = fields.String(required=True)
    request = fields.String(required=True)
    kind = fields.String(required=True)
    principal = fields.String(required=True)
    before = fields.Dict(required=True)
    after = fields.Dict(required=True)


class PreviewSchema(Schema):
    """What a policy would change; nothing was changed."""

    digest = fields.String(required=True)
    rules = fields.Integer(required=True)
    looked_at = fields.Integer(required=True)
    left_out = fields.Integer(required=True, metadata={"description": "Decisions that cannot be made again"})
    changed = fields.List(fields.Nested(ChangedSchema), required=True)


class SavedPolicySchema(Schema):
    """What was saved."""

    scope = choice("organization", "project", required=True)
    name = fields.String(required=True)
    version = fields.Integer(required=True)
    digest = fields.String(required=True)
    rules = fields.Integer(required=True)
    changed = fields.Boolean(required=True, metadata={"description": "False: it is the same as before"})


class PolicySchema(Schema):
    """One version of a policy."""

    project = fields.String(allow_none=True)
    version = fields.Integer(required=True)
    digest = fields.String(required=True)
    document = fields.Dict(required=True)
    reason = fields.String(required=True)
    created_by = fields.String(required=True)
    created_at = Moment(required=True)


class PoliciesSchema(Schema):
    """The policy of the engine's own file, and the newest versions of one custom policy."""

    built_in = fields.Dict(required=True, metadata={"description": "digest, age_s, and why a changed file is not used"})
    items = fields.List(fields.Nested(PolicySchema), required=True)


class PolicyQuery(Schema):
    """Whose policy."""

    project = fields.String(load_default=None, metadata={"description": "Left out: of the organization"}, **_PROJECT)


class StopSchema(Schema):
    """A principal, project or provider that may do nothing."""

    kind = choice(*KINDS, required=True)
    subject = fields.String(required=True)
    reason = fields.String(required=True)
    set_by = fields.String(required=True)
    set_at = Moment(required=True)


class StopsSchema(Schema):
    """Everything that is stopped."""

    items = fields.List(fields.Nested(StopSchema), required=True)


class LiftSchema(Schema):
    """Who may go on."""

    kind = choice(*KINDS, required=True)
    subject = text(200, required=True)


class NewStopSchema(LiftSchema):
    """Who is to be stopped, and why."""

    reason = text(500, required=True)
    quarantine_since = fields.AwareDateTime(
        format="iso",
        allow_none=True,
        metadata={
            "description": "What it made since then is put into quarantine (RFC 3339). Of a provider: "
            "versions whose provenance names a call to it"
        },
    )


class DecisionSchema(Schema):
    """A decision of SecureGateway, as it was recorded."""

    id = fields.String(required=True)
    request_id = fields.String(required=True)
    project = fields.String(allow_none=True)
    principal = fields.String(required=True)
    verdict = choice("approved", "vetoed", required=True)
    label = fields.String(required=True)
    policy = fields.String(required=True)
    policy_digest = fields.String(required=True)
    provider = fields.String(allow_none=True)
    body = fields.Dict(
        required=True, metadata={"description": "Reasons, rules with versions, layers, findings without values"}
    )
    created_at = Moment(required=True)
