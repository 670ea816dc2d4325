"""Fields that read JSON as it is written: "5" is no integer, 1 is no truth, and times go out as RFC 3339."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from metaqore.clock import to_rfc3339


class Integer(fields.Integer):
    """A JSON integer: no text, no fraction, no truth value."""

    def _validated(self, value: Any) -> int:
        if type(value) is not int:
            raise self.make_error("invalid", input=value)
        return value


class Float(fields.Float):
    """A JSON number."""

    def _validated(self, value: Any) -> float:
        if type(value) not in (int, float):
            raise self.make_error("invalid", input=value)
        return float(value)


class Boolean(fields.Boolean):
    """true or false."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if type(value) is not bool:
            raise self.make_error("invalid", input=value)
        return value


class Moment(fields.Field[Any]):
    """A time: milliseconds since the epoch inside, RFC 3339 in UTC outside."""

    def _jsonschema_type_mapping(self) -> dict[str, str]:
        return {"type": "string", "format": "date-time"}

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else to_rfc3339(value)


def not_blank(value: str) -> None:
    """Refuse a text of white space only."""
    if not value.strip():
        raise ValidationError("must not be blank")


def text(maximum: int, **options: Any) -> fields.String:
    """A text of 1 to ``maximum`` characters that are not all blank."""
    return fields.String(validate=[validate.Length(1, maximum), not_blank], **options)


def choice(*names: str, **options: Any) -> fields.String:
    """One of ``names``."""
    return fields.String(validate=validate.OneOf(names), **options)


class PageQuery(Schema):
    """Which page of a list."""

    page_size = fields.Integer(load_default=50, validate=validate.Range(1, 200))
    page_token = fields.String(
        load_default="", validate=validate.Length(max=512),
        metadata={"description": "The next_page_token of the page before; empty for the first one"},
    )  # fmt: skip


def page_of(schema: type[Schema]) -> type[Schema]:
    """Return the schema of a page of ``schema``."""
    name = schema.__name__.removesuffix("Schema") + "Page"
    described = {"description": "Pass it as page_token to get the next page; empty at the end"}
    return Schema.from_dict(
        {
            "items": fields.List(fields.Nested(schema), required=True),
            "next_page_token": fields.String(required=True, metadata=described),
        },
        name=name,
    )
