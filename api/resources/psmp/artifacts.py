"""Artifacts: declared, versioned, moved along their lifecycle. Declaring and moving are decided by a worker."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from api import batches, paging
from api.about import named_version, submit_about, with_version
from api.blueprint import Blueprint, read_body
from api.door import caller, door
from api.moments import views_at, views_of
from api.preconditions import expected_version, set_base_version, tag, unchanged
from api.schemas import accept
from api.schemas import psmp as schemas
from api.schemas import psmp_rules as rules
from api.schemas.moments import AsOfQuery, PastPageQuery
from api.schemas.requests import BatchSchema, PromiseSchema, RequestSchema
from api.schemas.strict import page_of
from api.strict_json import MAX_NODES
from api.submit import submit
from metaqore.errors import NotFound

blp = Blueprint("artifacts", __name__, url_prefix="/api/v1/artifacts", description="What agents make")
_BATCH_NODES = 20 * MAX_NODES


@blp.route("")
class Artifacts(MethodView):
    """All artifacts of a project."""

    @blp.operation("listArtifacts", "artifacts:read")
    @blp.arguments(schemas.ArtifactQuery, location="query")
    @blp.response(200, page_of(schemas.ArtifactHeadSchema))
    @blp.problems(404)
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List the artifacts of a project"""
        page = views_at(query["project"], query["as_of"]).artifacts(
            caller().organization, query["project"], type=query["type"], name=query["name"], state=query["state"],
            after=paging.after(query["page_token"], str), limit=query["page_size"],
        )  # fmt: skip
        return paging.envelope(page)

    @blp.operation("declareArtifact", "artifacts:write", "Prefer", "Idempotency-Key", "If-Match", "If-None-Match")
    @blp.hot_body(schemas.DeclareSchema, accept.declaration, max_nodes=MAX_NODES)
    @blp.whole_response(202, PromiseSchema)
    @blp.alt_response(200, schema=RequestSchema, success=True)
    @blp.alt_response(201, schema=RequestSchema, success=True)
    @blp.problems(403, 404, 409, 412, 422)
    def post(self, declared: accept.Declared) -> Response:
        """Declare an artifact"""
        project, payload = declared
        door().projects.check(caller().organization, project)
        door().engine.psmp.check_type(payload["type"])
        set_base_version(project, payload)
        return submit("artifact.declare", project, payload)


@blp.route("/batch")
class Batch(MethodView):
    """Many declarations at once."""

    @blp.operation("declareArtifacts", "artifacts:write", "Prefer", "Idempotency-Key")
    @blp.documented_body(schemas.DeclareBatchSchema)
    @blp.whole_response(202, BatchSchema)
    @blp.alt_response(200, schema=BatchSchema, success=True)
    @blp.problems(422)
    def post(self) -> Response:
        """Declare up to 500 artifacts in one commit; each gets its own id and outcome"""
        return batches.declare(read_body(max_nodes=_BATCH_NODES))


@blp.route("/<artifact>")
class Artifact(MethodView):
    """One artifact."""

    @blp.operation("getArtifact", "artifacts:read", "If-None-Match")
    @blp.arguments(rules.AliasQuery, location="query")
    @blp.response(200, schemas.ArtifactSchema)
    @blp.problems(404)
    def get(self, query: dict[str, Any], artifact: str) -> Any:
        """Read an artifact with its content, now or as of a moment, or with that of the version an alias names"""
        row = views_of("artifacts", artifact, query["as_of"]).artifact(caller().organization, artifact)
        if row is None:
            raise NotFound(f"artifact {artifact} does not exist")
        if query["alias"] is not None:
            row = with_version(row, query["alias"], query["as_of"])
        return unchanged(row["version"]) or (row, {"ETag": tag(row["version"])})

    @blp.operation("deleteArtifact", "artifacts:write", "Prefer", "Idempotency-Key", "If-Match")
    @blp.arguments(rules.DeleteQuery, location="query")
    @blp.whole_response(202, PromiseSchema)
    @blp.alt_response(200, schema=RequestSchema, success=True)
    @blp.problems(403, 404, 409, 412)
    def delete(self, query: dict[str, Any], artifact: str) -> Response:
        """Delete an artifact: it stays as a tombstone. What depends on it must be named: cascade or deprecate"""
        payload = {"artifact": artifact, "if_match": expected_version(required=False), **query}
        return submit_about(artifact, "artifact.delete", payload, body=payload)


@blp.route("/<artifact>/versions")
class Versions(MethodView):
    """The versions of an artifact."""

    @blp.operation("listVersions", "artifacts:read")
    @blp.arguments(PastPageQuery, location="query")
    @blp.response(200, page_of(schemas.VersionHeadSchema))
    @blp.problems(404)
    def get(self, query: dict[str, Any], artifact: str) -> dict[str, Any]:
        """List the versions of an artifact, the newest first"""
        who, views = caller().organization, views_of("artifacts", artifact, query["as_of"])
        if door().views.psmp.project_of(who, "artifacts", artifact) is None:
            raise NotFound(f"artifact {artifact} does not exist")
        after = paging.after(query["page_token"], int)
        return paging.envelope(views.versions(who, artifact, after=after, limit=query["page_size"]))


@blp.route("/<artifact>/versions/<version>")
class Version(MethodView):
    """One version."""

    @blp.operation("getVersion", "artifacts:read", "If-None-Match")
    @blp.arguments(AsOfQuery, location="query")
    @blp.response(200, schemas.VersionSchema)
    @blp.problems(404)
    def get(self, query: dict[str, Any], artifact: str, version: str) -> Any:
        """Read a version with its content, by its number or by an alias such as latest or released"""
        row = named_version(artifact, version, query["as_of"])
        return unchanged(row["version"]) or (row, {"ETag": tag(row["version"])})


@blp.route("/<artifact>/transition")
class Transition(MethodView):
    """The lifecycle of an artifact."""

    @blp.operation("moveArtifact", "artifacts:write", "Prefer", "Idempotency-Key")
    @blp.arguments(schemas.TransitionSchema)
    @blp.whole_response(202, PromiseSchema)
    @blp.alt_response(200, schema=RequestSchema, success=True)
    @blp.problems(404, 409)
    def post(self, body: dict[str, Any], artifact: str) -> Response:
        """Move an artifact along its lifecycle"""
        return submit_about(artifact, "artifact.transition", {"artifact": artifact, **body}, body=body)
