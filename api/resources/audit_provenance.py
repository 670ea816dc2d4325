"""Where an artifact comes from."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from api import lineage
from api.blueprint import Blueprint
from api.schemas import provenance as schemas

blp = Blueprint("provenance", __name__, url_prefix="/api/v1/artifacts", description="Where artifacts come from")


@blp.route("/<artifact>/provenance")
class Provenance(MethodView):
    """The provenance of one artifact."""

    @blp.operation("getProvenance", "artifacts:read")
    @blp.arguments(schemas.ProvenanceQuery, location="query")
    @blp.whole_response(200, schemas.ProvenanceSchema)
    @blp.alt_response(200, schema={"type": "string"}, content_type="image/svg+xml", success=True)
    @blp.problems(404)
    def get(self, query: dict[str, Any], artifact: str) -> Response:
        """Read who made it, when, from what, under which policy and with which model, as W3C PROV or as a picture"""
        return lineage.of(artifact, query)
