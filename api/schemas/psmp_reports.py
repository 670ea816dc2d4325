"""Blocked proposals and what to do about them, as they go out."""

from __future__ import annotations

from marshmallow import INCLUDE, Schema, fields, validate

from api.schemas.psmp import ConflictSchema, objects
from api.schemas.strict import Boolean, Integer, Moment, choice

_HASH = "sha256:… of the whole declaration; an approval is bound to it"


class WithdrawSchema(Schema):
    """Why a proposal is withdrawn."""

    reason = fields.String(load_default="", validate=validate.Length(max=2000))


class RemedyRequestSchema(Schema):
    """A request that is ready to be sent as it is."""

    method = choice("POST", required=True)
    url = fields.String(required=True)
    headers = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    body = objects(required=True)


class RemedySchema(Schema):
    """A way out that was tried before it was offered. Sent unchanged, it is admitted, or answers 412."""

    kind = fields.String(required=True, metadata={"description": "Stable name, e.g. rebase, drop_dependency"})
    principal = fields.String(
        required=True, allow_none=True, metadata={"description": "Who may send it; null: whoever has the scope"}
    )
    what = fields.String(required=True, metadata={"description": "What it does, in words"})
    resolves = fields.List(fields.String(), required=True, metadata={"description": "Conflicts that it takes away"})
    predicted_verdict = choice("approved", required=True)
    needs_scope = fields.String(required=True)
    expires_at = fields.String(required=True, metadata={"format": "date-time", "description": "Ask again after this"})
    request = fields.Nested(RemedyRequestSchema, required=True)


class BlockedConflictSchema(Schema):
    """A conflict that is in the way."""

    id = fields.String(required=True, allow_none=True, metadata={"description": "null: it came up since"})
    rule_id = fields.String(required=True)
    severity = fields.String(required=True)
    strategy = fields.String(required=True)
    message = fields.String(required=True)
    evidence = objects(required=True)

    class Meta:
        """``class`` is a word of Python, so the field is named here."""

        include = {"class": fields.String(required=True)}  # noqa: RUF012


class CauseSchema(Schema):
    """A part of the declaration that stands in the way by itself."""

    pointer = fields.String(required=True, metadata={"description": "RFC 6901 pointer into the declaration"})
    conflicts = fields.List(fields.String(), required=True)


class ReportSchema(Schema):
    """What blocks a request, and what to do about it.

    What goes beyond the conflicts is there where a blocked proposal is asked about by itself; ``links.remedies`` says
    where that is.
    """

    project = fields.String(required=True)
    proposal = fields.String(metadata={"description": "The declaration that was kept; absent for other requests"})
    artifact = objects()
    summary = fields.String(metadata={"description": "All of it in a sentence or two"})
    base_version = Integer()
    head_version = Integer()
    conflicts = fields.List(fields.Nested(BlockedConflictSchema), required=True)
    obsolete = objects(allow_none=True, metadata={
        "description": "Conflicts that it was blocked for and that do not apply any more: id to reason"})  # fmt: skip
    minimal_core = fields.List(
        fields.Nested(CauseSchema),
        metadata={"description": "Without all of these it is admitted; with any one of them left it is not"},
    )
    core_is_minimal = Boolean(metadata={"description": "false: too many causes to tell"})
    remedies = fields.List(fields.Nested(RemedySchema))
    complete = Boolean(metadata={"description": "false: more could have been tried than there was time for"})
    merge_conflicts = fields.List(objects())
    links = objects()

    class Meta:
        """Requests other than declarations have further members."""

        unknown = INCLUDE


class ProposalSchema(Schema):
    """A declaration that was blocked and kept."""

    id = fields.String(required=True)
    project = fields.String(required=True)
    state = choice("blocked", "admitted", "withdrawn", "denied", required=True)
    author = fields.String(required=True)
    request = fields.String(required=True)
    declaration = objects(required=True)
    content_hash = fields.String(required=True, metadata={"description": _HASH})
    approval = fields.String(required=True, allow_none=True, metadata={"description": "The approval open for it"})
    blocking_report = fields.Nested(
        ReportSchema, required=True, allow_none=True, metadata={"description": "null once it is not blocked any more"}
    )


class BlockedSchema(Schema):
    """One blocked proposal of a project: its unresolved conflicts as they are kept, and its report."""

    proposal = fields.String(required=True)
    artifact = objects(required=True)
    request = fields.String(required=True)
    created_by = fields.String(required=True)
    created_at = Moment(required=True)
    base_version = Integer(required=True)
    head_version = Integer(required=True)
    conflicts = fields.List(fields.Nested(ConflictSchema), required=True)
    summary = fields.String(required=True)
    minimal_core = fields.List(fields.Nested(CauseSchema), required=True)
    core_is_minimal = Boolean(required=True)
    remedies = fields.List(fields.Nested(RemedySchema), required=True)
    complete = Boolean(
        required=True, metadata={"description": "false: there was no time for all of it; see /proposals/{proposal}"}
    )


class BlockingReportSchema(Schema):
    """What stands in the way of a project."""

    project = fields.String(required=True)
    mode = fields.String(required=True)
    is_blocked = Boolean(required=True)
    open = Integer(required=True, metadata={"description": "Unresolved conflicts"})
    by_class = objects(required=True)
    by_severity = objects(required=True)
    items = fields.List(fields.Nested(BlockedSchema), required=True)
    next_page_token = fields.String(required=True)
