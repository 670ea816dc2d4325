"""Model calls, as they come in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from api.schemas.strict import Boolean, Float, Integer, choice
from metaqore.canonical import canonical_json
from metaqore.errors import InvalidInput
from metaqore.llm.model import Slot

_NAME = validate.Length(1, 200)
_SLOT = str(get_args(Slot)[1].pattern)
_SLOT_SAID = "Use letters, digits and '_', no digit first, at most 64."


class MessageSchema(Schema):
    """One message of a conversation."""

    role = choice("system", "developer", "user", "assistant", required=True)
    content = fields.String(required=True)


class TemplateSchema(Schema):
    """A prompt with named slots, ``{{name}}``."""

    id = fields.String(required=True, validate=_NAME)
    text = fields.String(required=True, validate=validate.Length(1))
    system = fields.String(allow_none=True)


class GenerateSchema(Schema):
    """A model call: exactly one of ``prompt``, ``messages`` and ``template``."""

    project = fields.String(allow_none=True, validate=validate.Length(1, 64))
    prompt = fields.String(allow_none=True, validate=validate.Length(1))
    messages = fields.List(fields.Nested(MessageSchema), allow_none=True, validate=validate.Length(1, 1000))
    template = fields.Nested(TemplateSchema, allow_none=True)
    variables = fields.Dict(
        keys=fields.String(validate=validate.Regexp(_SLOT, error=_SLOT_SAID)),
        values=fields.Raw(allow_none=True),
    )
    model = fields.String(allow_none=True, validate=_NAME)
    provider = fields.String(allow_none=True, validate=_NAME)
    max_tokens = Integer(validate=validate.Range(1, 1_000_000), metadata={"default": 256})
    temperature = Float(validate=validate.Range(0, 2), metadata={"default": 0})
    seed = Integer(allow_none=True, validate=validate.Range(0, 2**31 - 1))
    stop = fields.List(fields.String(validate=validate.Length(1)), validate=validate.Length(max=4))
    task_type = fields.String(allow_none=True, validate=validate.Length(max=200))
    agent_name = fields.String(allow_none=True, validate=validate.Length(max=200))
    has_private_data = Boolean(metadata={"description": "Flags raise the sensitivity, never lower it"})
    has_sensitive_data = Boolean()
    is_security_task = Boolean()
    specialist = Boolean(
        allow_none=True,
        metadata={
            "description": "Whether a specialist may answer, where one is certified for this task. Left out: where "
            "neither provider nor model is named",
            "default": None,
        },
    )
    inputs = fields.List(
        fields.String(validate=_NAME),
        validate=validate.Length(max=100),
        metadata={"description": "Artifacts that the prompt was made from; prompt and answer inherit their labels"},
    )

    @validates_schema
    def _one_source(self, data: Mapping[str, Any], **_: Any) -> None:
        given = [name for name in ("prompt", "messages", "template") if data.get(name) is not None]
        if len(given) != 1:
            raise ValidationError("give exactly one of prompt, messages and template")
        if data.get("variables") and data.get("template") is None:
            raise ValidationError("variables need a template", "variables")
        try:
            canonical_json(data.get("variables", {}))
        except InvalidInput as error:
            raise ValidationError(error.message, "variables") from error
