"""Approvals, as they come in and go out."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from api.schemas.moments import PastPageQuery
from api.schemas.psmp import objects
from api.schemas.strict import Moment, choice

APPROVAL_STATES = ("open", "approved", "denied", "expired", "withdrawn")
_HASH = "sha256:… of what an approval lets through, and of nothing else"


class ApprovalSchema(Schema):
    """A question that is put to a person."""

    id = fields.String(required=True)
    project = fields.String(required=True, allow_none=True)
    subject_kind = fields.String(required=True, metadata={"description": "What it is about, e.g. proposal"})
    subject = fields.String(required=True)
    content_hash = fields.String(required=True, metadata={"description": _HASH})
    base = objects(required=True, metadata={"description": "The state in which it was asked, e.g. head_version"})
    needs_scope = fields.String(attribute="needed_scope", required=True)
    reason = fields.String(required=True)
    state = choice(*APPROVAL_STATES, required=True)
    author = fields.String(required=True, metadata={"description": "Whose content it is; may not approve it"})
    requested_by = fields.String(required=True)
    answered_by = fields.String(required=True, allow_none=True)
    answer = fields.String(required=True, allow_none=True, metadata={"description": "The reason that was given"})
    expires_at = Moment(required=True)
    created_at = Moment(required=True)
    answered_at = Moment(required=True, allow_none=True)


class WholeApprovalSchema(ApprovalSchema):
    """A question with what it is about, for whoever may answer it."""

    payload = objects(
        allow_none=True,
        metadata={"description": "What would be let through, where subject_kind is payload; null for whoever may not "
                  "answer, and after an erasure"},
    )  # fmt: skip


class ApprovalQuery(PastPageQuery):
    """Which approvals."""

    project = fields.String(load_default=None)
    state = choice(*APPROVAL_STATES, load_default=None)


class AnswerSchema(Schema):
    """What a person answers."""

    reason = fields.String(load_default="", validate=validate.Length(max=2000))
    content_hash = fields.String(
        validate=validate.Regexp(r"sha256:[0-9a-f]{64}\Z", error="Use sha256: and 64 hexadecimal digits."),
        metadata={"description": "What you were shown; where it is not what would be let through, the answer is 412"},
    )  # fmt: skip
