"""The document that every error is answered with."""

from __future__ import annotations

from marshmallow import INCLUDE, Schema, fields

from api.schemas.psmp_reports import ReportSchema


class PlaceSchema(Schema):
    """One thing that is wrong, and where."""

    pointer = fields.String(metadata={"description": "RFC 6901 pointer into the body, or the name of a parameter"})
    detail = fields.String(metadata={"description": "What is wrong there and what to do"})


class ProblemSchema(Schema):
    """A problem document (RFC 9457)."""

    type = fields.String(required=True, metadata={"description": "Where this kind of problem is described"})
    title = fields.String(required=True)
    status = fields.Integer(required=True, metadata={"description": "The HTTP status"})
    detail = fields.String(required=True, metadata={"description": "What happened to this request"})
    instance = fields.String(metadata={"description": "The path that was asked for"})
    code = fields.String(required=True, metadata={"description": "Stable name of the kind of problem: match on this"})
    retryable = fields.Boolean(metadata={"description": "True where the same request may succeed later"})
    errors = fields.List(fields.Nested(PlaceSchema))
    request_id = fields.String(metadata={"description": "X-Request-Id of this exchange"}, allow_none=True)
    request = fields.String(metadata={"description": "The request whose outcome this is"})
    scope = fields.String(metadata={"description": "With forbidden: the scope that the key lacks"})
    blocking_report = fields.Nested(
        ReportSchema, metadata={"description": "With blocked: what stands in the way, and what to do"}
    )
    result = fields.Dict(metadata={"description": "With blocked by something else than conflicts: its result"})
    decision = fields.Dict(metadata={"description": "With vetoed: SecureGateway's decision and its reasons"})

    class Meta:
        """Problems may have further members (RFC 9457 §3.2)."""

        unknown = INCLUDE
