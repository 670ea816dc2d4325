"""Patterns and specialists, as they come in and go out."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from api.schemas.strict import Integer, Moment, PageQuery


class PatternSchema(Schema):
    """Work that repeats."""

    id = fields.String(required=True)
    signature = fields.String(required=True)
    state = fields.String(required=True)
    support = Integer(required=True, metadata={"description": "How often it was seen"})
    body = fields.Raw(required=True)
    request = fields.String(attribute="request_id")
    created_at = Moment(required=True)
    updated_at = Moment(required=True)


class PatternQuery(PageQuery):
    """Which patterns."""

    state = fields.String(load_default=None)


class ServiceSchema(Schema):
    """What became of the calls that a specialist was asked about."""

    served = Integer(required=True, metadata={"description": "It answered"})
    abstained = Integer(required=True, metadata={"description": "It left them to the model that it learnt from"})
    audited = Integer(required=True, metadata={"description": "Drawn: the model answered, and both were compared"})
    shadow = Integer(required=True, metadata={"description": "Compared, while it did not answer yet"})
    disagreed = Integer(required=True, metadata={"description": "Compared, and both said something else"})
    saved_tokens = Integer(required=True, metadata={"description": "Estimated; what the answers would have cost"})
    last_at = Moment(required=True, allow_none=True)


class SpecialistSchema(Schema):
    """A model trained for one pattern, with what every stage of the gate measured."""

    id = fields.String(required=True)
    pattern = fields.String(required=True)
    version = Integer(required=True)
    state = fields.String(required=True)
    manifest = fields.Raw(required=True)
    gate = fields.Raw(required=True)
    digest = fields.String(required=True, allow_none=True)
    service = fields.Nested(ServiceSchema, required=True)
    request = fields.String(attribute="request_id")
    created_at = Moment(required=True)


class SpecialistQuery(PageQuery):
    """Which specialists."""

    state = fields.String(load_default=None)
    pattern = fields.String(load_default=None)


class DiscoverSchema(Schema):
    """Nothing has to be said: the recorded calls of the organization are looked through."""


class TrainSchema(Schema):
    """Which pattern a specialist is to be trained for."""

    pattern = fields.String(required=True, validate=validate.Length(1, 64))


class RetiredSchema(Schema):
    """A specialist that answers no more."""

    id = fields.String(required=True)
    state = fields.String(required=True)
