"""The parts of a declaration, as they come in."""

from __future__ import annotations

from typing import Any

import msgspec
from marshmallow import RAISE, Schema, ValidationError, fields, validate, validates_schema

from api.schemas.strict import Integer, choice, text
from metaqore.errors import InvalidInput
from metaqore.psmp.declaration import MAX_CLAIM, MAX_CLAIMS, MAX_POINTERS, POINTER
from metaqore.psmp.globs import normalise
from metaqore.psmp.manifest import check_requirements
from metaqore.psmp.model import Requirement
from metaqore.psmp.version_range import parse_range


class VersionOrRange(fields.Field[Any]):
    """A version number, or a range of them."""

    def _jsonschema_type_mapping(self) -> dict[str, Any]:
        return {"oneOf": [{"type": "integer"}, {"type": "string", "example": ">=2,<4"}, {"type": "null"}]}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int | str:
        if type(value) is int:
            return value
        if not isinstance(value, str):
            raise ValidationError("a version number, or a range as in >=2,<4")
        try:
            parse_range(value)
        except ValueError as error:
            raise ValidationError(str(error)) from error
        return value


class ReferenceSchema(Schema):
    """Another artifact: by id, or by type and name in the same project."""

    artifact = fields.String(allow_none=True)
    type = fields.String(allow_none=True)
    name = fields.String(allow_none=True)

    @validates_schema
    def _one_way(self, data: dict[str, Any], **_: Any) -> None:
        by_name = data.get("type") is not None and data.get("name") is not None
        if (data.get("artifact") is None) != by_name:
            raise ValidationError("give either artifact, or type and name")


class DependencySchema(ReferenceSchema):
    """What an artifact depends on: by id, or by type and name in the same project."""

    version = VersionOrRange(allow_none=True)
    kind = fields.String()


class ReadSchema(ReferenceSchema):
    """A version that was read while the work was done."""

    version = Integer(required=True, validate=validate.Range(1))


def path(**options: Any) -> fields.String:
    """A path inside of the project, perhaps with wildcards."""
    given = text(MAX_CLAIM, **options)
    given.validators.append(_inside)
    return given


def _inside(value: str) -> None:
    try:
        normalise(value)
    except ValueError as error:
        raise ValidationError(str(error)) from error


class ClaimsSchema(Schema):
    """What nobody else should touch meanwhile."""

    paths = fields.List(path(), metadata={"description": "Globs of file paths: *, ? and ** are wildcards"})
    resources = fields.List(text(MAX_CLAIM), metadata={"description": "Names"})


class ClaimsField(fields.Field[Any]):
    """A list of paths, or an object of paths and resources."""

    _PATHS = fields.List(path())

    def _jsonschema_type_mapping(self) -> dict[str, Any]:
        names = {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": MAX_CLAIM}}
        whole = {"type": "object", "properties": {"paths": names, "resources": names}, "additionalProperties": False}
        return {"oneOf": [names, whole]}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, list):
            value, claimed = value, self._PATHS.deserialize(value)
        else:
            loaded = ClaimsSchema(unknown=RAISE).load(value)
            claimed = [*loaded.get("paths", ()), *loaded.get("resources", ())]
        if len(claimed) > MAX_CLAIMS:
            raise ValidationError(f"at most {MAX_CLAIMS} paths and resources")
        return value


def pointers(**options: Any) -> fields.List[Any]:
    """JSON pointers (RFC 6901)."""
    is_pointer = validate.Regexp(rf"(?:{POINTER})\Z", error="Use a JSON pointer, as in /title or /steps/0.")
    pointer = fields.String(validate=[validate.Length(max=MAX_CLAIM), is_pointer])
    return fields.List(pointer, validate=validate.Length(max=MAX_POINTERS), **options)


class RequirementSchema(Schema):
    """A package constraint."""

    name = fields.String(required=True)
    specifier = fields.String()
    ecosystem = choice("pypi", "npm")
    scope = choice("runtime", "dev", "build")

    @validates_schema
    def _readable(self, data: dict[str, Any], **_: Any) -> None:
        try:
            check_requirements([msgspec.convert(data, Requirement)])
        except InvalidInput as error:
            raise ValidationError(str(error).removeprefix("requires[0].")) from error
