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


class SpecialistSchema(Schema):
    """A model trained for one pattern, with what every stage of the gate measured."""

    id = fields.String(required=True)
    pattern = fields.String(required=True)
    version = Integer(required=True)
    state = fields.String(required=True)
    manifest = fields.Raw(required=True)
    gate = fields.Raw(required=True)
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
