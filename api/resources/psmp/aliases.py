"""Names for versions, and the way to a lower label. Both are decided by a worker."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from api import about
from api.blueprint import Blueprint
from api.preconditions import expected_version
from api.schemas import psmp_rules as rules
from api.schemas.moments import AsOfQuery
from api.schemas.requests import PromiseSchema, RequestSchema
from api.submit import submit

blp = Blueprint("aliases", __name__, url_prefix="/api/v1/artifacts", description="Names for versions, and labels")


@blp.route("/<artifact>/aliases")
class Aliases(MethodView):
    """All aliases of an artifact."""

    @blp.operation("listAliases", "artifacts:read")
    @blp.arguments(AsOfQuery, location="query")
    @blp.response(200, rules.AliasesSchema)
    @blp.problems(404)
    def get(self, query: dict[str, Any], artifact: str) -> Any:
        """List the aliases of an artifact; latest is always the newest version"""
        return {"items": about.aliases(artifact, query["as_of"])}


@blp.route("/<artifact>/aliases/<alias>")
class Alias(MethodView):
    """One alias."""

    @blp.operation("setAlias", "artifacts:write", "Prefer", "Idempotency-Key")
    @blp.arguments(rules.NewAliasSchema)
    @blp.whole_response(202, PromiseSchema)
    @blp.alt_response(200, schema=RequestSchema, success=True)
    @blp.problems(404)
    def put(self, body: dict[str, Any], artifact: str, alias: str) -> Response:
        """Let an alias name a version, e.g. released"""
        payload = {"artifact": artifact, "alias": alias, "version": body["version"]}
        return submit("artifact.alias", about.project_of(artifact), payload, body={**body, "alias": alias})

    @blp.operation("removeAlias", "artifacts:write", "Prefer", "Idempotency-Key")
    @blp.whole_response(202, PromiseSchema)
    @blp.alt_response(200, schema=RequestSchema, success=True)
    @blp.problems(404)
    def delete(self, artifact: str, alias: str) -> Response:
        """Take an alias away"""
        payload = {"artifact": artifact, "alias": alias}
        return submit("artifact.alias", about.project_of(artifact), payload)


@blp.route("/<artifact>/declassify")
class Declassification(MethodView):
    """The way to a lower label."""

    @blp.operation("declassifyArtifact", "labels:declassify", "Prefer", "Idempotency-Key", "If-Match")
    @blp.arguments(rules.DeclassifySchema)
    @blp.whole_response(202, PromiseSchema)
    @blp.alt_response(200, schema=RequestSchema, success=True)
    @blp.problems(404, 412)
    def post(self, body: dict[str, Any], artifact: str) -> Response:
        """Lower an artifact's label, with a reason: its content is appended again under that label

        Later versions keep the lower label as long as they hold nothing that did not stand there already; what they
        add raises it again, and has to be declassified by itself. What depends on the artifact inherits the lower
        label from its next version on; a copy of the content under another name is looked at anew.
        """
        payload = {"artifact": artifact, "if_match": expected_version(required=False), **body}
        return about.submit_about(artifact, "artifact.declassify", payload, body=payload)
