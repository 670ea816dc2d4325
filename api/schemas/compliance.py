"""Frameworks and reports on controls, as they go out, and what is asked for."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from api.schemas.strict import Integer, Moment, PageQuery, choice
from metaqore.audit.compliance_extract import EXTRACT_FORMS
from metaqore.audit.compliance_forms import FORMS

_NAME = validate.Regexp(
    r"^[a-z][a-z0-9_]{0,63}\Z", error="Use lower case letters, digits and '_', a letter first, at most 64."
)


class ControlSchema(Schema):
    """One control; exactly one of needs, outside and not_applicable is there."""

    id = fields.String(required=True)
    group = fields.String(required=True)
    title = fields.String(required=True)
    needs = fields.List(fields.String(), metadata={"description": "The evidence that it asks for"})
    applies_when = fields.List(fields.String(), metadata={"description": "It is about this; else not applicable"})
    outside = fields.String(metadata={"description": "Why a log cannot tell, and who to ask"})
    not_applicable = fields.String(metadata={"description": "Why the organization leaves it out"})


class FrameworkSchema(Schema):
    """A set of controls that is reported on together."""

    id = fields.String(required=True)
    title = fields.String(required=True)
    edition = fields.String(required=True)
    source = fields.String(required=True)
    version = Integer(required=True)
    digest = fields.String(required=True, metadata={"description": "Of the files it was read from"})
    controls = fields.List(fields.Nested(ControlSchema), required=True)


class FrameworksSchema(Schema):
    """All frameworks."""

    items = fields.List(fields.Nested(FrameworkSchema), required=True)


class AskReportSchema(Schema):
    """What is to be reported on."""

    framework = fields.String(required=True, validate=_NAME, metadata={"description": "The id of a framework"})
    from_ = fields.AwareDateTime(
        format="iso", data_key="from", metadata={"description": "RFC 3339; 90 days before the end where left out"}
    )
    to = fields.AwareDateTime(format="iso", metadata={"description": "RFC 3339, not included; now where left out"})


class SummarySchema(Schema):
    """How many controls are in which state."""

    met = Integer(required=True)
    not_met = Integer(required=True)
    not_assessed = Integer(required=True)
    not_applicable = Integer(required=True)


class ControlReportSchema(Schema):
    """A report in short."""

    id = fields.String(required=True)
    framework = fields.String(required=True)
    period_start = Moment(required=True)
    period_end = Moment(required=True)
    created_by = fields.String(required=True)
    created_at = Moment(required=True)
    request_id = fields.String(required=True)
    entries = Integer(required=True, metadata={"description": "Entries of the log that it was made of"})
    summary = fields.Nested(SummarySchema, required=True)
    digest = fields.String(required=True, metadata={"description": "Of its JSON form; the log has it too"})


class ReportListQuery(PageQuery):
    """Which reports."""

    framework = fields.String(load_default=None, validate=_NAME)


class ExtractFormQuery(Schema):
    """In which form."""

    format = choice(*EXTRACT_FORMS, load_default="jsonl")


class ReportFormQuery(Schema):
    """In which form."""

    format = choice(*FORMS, load_default="json")
