"""Moments of a project's history, as callers name them."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from api.schemas.strict import PageQuery

MOMENT = (
    "A moment of the project's history: a position (17), a time (RFC 3339, 2026-01-02T03:04:05Z), or a checkpoint's "
    "name or id"
)


class Moment(fields.Field[Any]):
    """A position as a number, or a text."""

    def _jsonschema_type_mapping(self) -> dict[str, Any]:
        return {"oneOf": [{"type": "integer", "minimum": 0}, {"type": "string", "minLength": 1, "maxLength": 128}]}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if type(value) is int and 0 <= value < 10**15:
            return str(value)
        if type(value) is not str or not 1 <= len(value) <= 128:
            raise self.make_error("invalid")
        return value

    default_error_messages = {"invalid": "a position, a time or a checkpoint"}  # noqa: RUF012 marshmallow's own way


def as_of(**options: Any) -> fields.String:
    """The query parameter that names a moment."""
    return fields.String(
        validate=validate.Length(1, 128), load_default=None, metadata={"description": MOMENT, **options}
    )


class AsOfQuery(Schema):
    """When to look at something; without it, now."""

    as_of = as_of()


class PastPageQuery(PageQuery, AsOfQuery):
    """Which page of a list, and when."""
