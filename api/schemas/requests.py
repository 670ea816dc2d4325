"""Requests as their submitters see them. The documents go out as they were encoded; these schemas describe them."""

from __future__ import annotations

from marshmallow import Schema, fields

from api.schemas.audit import EvidenceSchema
from api.schemas.problem import ProblemSchema
from api.schemas.strict import Integer, PageQuery, choice
from metaqore.messages import State, Verdict


class LinksSchema(Schema):
    """Where to go on."""

    self = fields.String(required=True)
    cancel = fields.String(required=True)


class PromiseSchema(Schema):
    """The promise of a 202: it is stored and will be decided."""

    id = fields.String(required=True)
    state = choice(State.ACCEPTED.value, required=True)
    links = fields.Nested(LinksSchema, required=True)


class ProgressSchema(Schema):
    """How far a running request has come."""

    of = fields.String(required=True, metadata={"description": "What is counted, e.g. decisions"})
    done = Integer(required=True)
    total = Integer(required=True, allow_none=True, metadata={"description": "null where nobody can know"})
    at = fields.DateTime(required=True, metadata={"description": "When it said so"})


class RequestSchema(Schema):
    """A request and, once it is finished, its verdict and result."""

    id = fields.String(required=True)
    kind = fields.String(required=True)
    queue = fields.String(required=True)
    project = fields.String(required=True, allow_none=True)
    principal = fields.String(required=True)
    state = choice(*State, required=True)
    verdict = choice(*Verdict, required=True, allow_none=True)
    result = fields.Dict(required=True, allow_none=True)
    error = fields.Dict(required=True, allow_none=True)
    attempt = Integer(required=True)
    created_at = fields.DateTime(required=True)
    finished_at = fields.DateTime(required=True, allow_none=True)
    audit = fields.Nested(EvidenceSchema, metadata={"description": "Of a finished request that is read alone"})
    progress = fields.Nested(
        ProgressSchema, metadata={"description": "Of a running request that is read alone and takes long"}
    )


class RequestQuery(PageQuery):
    """Which requests."""

    state = choice(*State, load_default=None)
    verdict = choice(*Verdict, load_default=None)
    kind = fields.String(load_default=None)
    project = fields.String(load_default=None)


class BatchItemSchema(Schema):
    """What became of one item: a promise, a finished request or a problem."""

    index = Integer(required=True, metadata={"description": "Its place in the batch, from 0"})
    status = Integer(required=True, metadata={"description": "The status it would have had alone"})
    id = fields.String()
    state = fields.String()
    links = fields.Nested(LinksSchema)
    request = fields.Nested(RequestSchema)
    problem = fields.Nested(ProblemSchema)


class BatchSchema(Schema):
    """What became of each item of a batch, in its order."""

    items = fields.List(fields.Nested(BatchItemSchema), required=True)
