"""Provenance as it goes out: PROV-JSON (https://www.w3.org/submissions/prov-json/)."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from api.schemas.moments import AsOfQuery


class ProvenanceQuery(AsOfQuery):
    """Which version, how far back, and how it is written down."""

    version = fields.String(
        load_default="latest", validate=validate.Length(1, 64),
        metadata={"description": "A number, latest, released, or another alias"},
    )  # fmt: skip
    depth = fields.Integer(
        load_default=6, validate=validate.Range(0, 32), metadata={"description": "Generations of inputs back"}
    )
    nodes = fields.Integer(
        load_default=200, validate=validate.Range(1, 1000),
        metadata={"description": "Most entities, activities and agents; what is left out is marked mq:truncated"},
    )  # fmt: skip
    format = fields.String(load_default="json", validate=validate.OneOf(["json", "svg"]))


class ProvenanceSchema(Schema):
    """A PROV-JSON document: each member maps qualified names to what is said about them."""

    prefix = fields.Dict(required=True)
    entity = fields.Dict(required=True)
    activity = fields.Dict()
    agent = fields.Dict()
    used = fields.Dict()
    wasGeneratedBy = fields.Dict()
    wasDerivedFrom = fields.Dict()
    wasAttributedTo = fields.Dict()
    wasAssociatedWith = fields.Dict()
    wasInformedBy = fields.Dict()
    actedOnBehalfOf = fields.Dict()
