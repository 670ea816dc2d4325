"""Events, webhook endpoints and deliveries, as they come in and go out."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from api.schemas.strict import Integer, Moment, PageQuery, choice
from metaqore.delivery.handlers import MAX_OVERLAP_S, MAX_PATTERNS, STATES

ENDPOINT_STATES = ("active", "disabled")
_AFTER = "Only events after this seq. A stream begins at the present without it; 0 is the beginning"
_TYPES = "Patterns, separated by commas: artifact.*, conflict.detected"


def _patterns(**options: Any) -> Any:
    described = {"description": "*, a prefix like artifact.*, or an event type"}
    pattern = fields.String(validate=validate.Length(1, 100), metadata=described)
    return fields.List(pattern, validate=validate.Length(1, MAX_PATTERNS), **options)


class EndpointSchema(Schema):
    """A webhook endpoint, without its secret."""

    id = fields.String(required=True)
    project = fields.String(allow_none=True)
    url = fields.String(required=True)
    events = fields.List(fields.String(), required=True)
    state = choice(*ENDPOINT_STATES, required=True)
    reason = fields.String(allow_none=True)
    previous_secret_until = Moment(allow_none=True)
    created_by = fields.String(required=True)
    created_at = Moment(required=True)
    updated_at = Moment(required=True)


class SecretEndpointSchema(EndpointSchema):
    """A webhook endpoint with a new secret, which is shown this once."""

    secret = fields.String(
        allow_none=True,
        metadata={"description": "whsec_…, for Standard Webhooks. Null where it did not change, or in a replay"},
    )


class NewEndpointSchema(Schema):
    """Where events are to be sent."""

    url = fields.String(required=True, validate=validate.Length(1, 2048))
    project = fields.String(allow_none=True)
    events = _patterns(load_default=["*"])


class EndpointPatchSchema(Schema):
    """What changes of an endpoint; ``rotate`` makes a new secret, and the old one signs too for ``overlap_s``."""

    url = fields.String(validate=validate.Length(1, 2048))
    project = fields.String(allow_none=True)
    events = _patterns()
    state = choice(*ENDPOINT_STATES)
    rotate = fields.Boolean()
    overlap_s = Integer(validate=validate.Range(0, MAX_OVERLAP_S))


class TestSchema(Schema):
    """The event that was sent to an endpoint."""

    id = fields.String(required=True)
    event = fields.String(required=True)


class DeliverySchema(Schema):
    """One event on its way to one endpoint."""

    id = fields.String(required=True)
    endpoint = fields.String(required=True)
    event_id = fields.String(required=True)
    event_seq = Integer(required=True)
    state = choice(*STATES, required=True)
    attempt = Integer(required=True)
    next_at = Moment(allow_none=True)
    last_status = Integer(allow_none=True)
    last_error = fields.String(allow_none=True)
    latency_ms = Integer(allow_none=True)
    created_at = Moment(required=True)
    delivered_at = Moment(allow_none=True)


class DeliveryQuery(PageQuery):
    """Which deliveries."""

    state = choice(*STATES, load_default=None)


class ReplaySchema(Schema):
    """Which deliveries of an endpoint are to be sent again."""

    states = fields.List(choice(*STATES), validate=validate.Length(1, len(STATES)))
    since = fields.AwareDateTime(format="iso")
    until = fields.AwareDateTime(format="iso")


class ReplayedSchema(Schema):
    """How many deliveries are sent again, and whether more are left."""

    replayed = Integer(required=True)
    more = fields.Boolean(required=True)


class EventSchema(Schema):
    """Something that happened. ``data`` is thin: identifiers and states, no content."""

    id = fields.String(required=True)
    seq = Integer(required=True, metadata={"description": "Its place in the organization's sequence, without gaps"})
    type = fields.String(required=True)
    subject = fields.String(required=True)
    project = fields.String(allow_none=True)
    request = fields.String(attribute="request_id")
    data = fields.Raw(required=True)
    time = Moment(attribute="created_at", required=True)


class EventQuery(Schema):
    """Which events, and how they are wanted."""

    format = choice("sse", "json", load_default=None, metadata={"description": "json: a page; sse: a stream"})
    after = fields.Integer(load_default=None, validate=validate.Range(0), metadata={"description": _AFTER})
    project = fields.String(load_default=None)
    types = fields.String(load_default="", validate=validate.Length(max=1000), metadata={"description": _TYPES})
    page_size = fields.Integer(load_default=50, validate=validate.Range(1, 200))
    page_token = fields.String(load_default="", validate=validate.Length(max=512))
