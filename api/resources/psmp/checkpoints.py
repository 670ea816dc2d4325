"""A project's history: checkpoints, what differs between two moments, and going back. Going back is up to a worker."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from api import diffs, paging
from api.blueprint import Blueprint
from api.door import caller, door
from api.moments import moment_of, place_of
from api.schemas import psmp_time as schemas
from api.schemas.moments import AsOfQuery, PastPageQuery
from api.schemas.requests import PromiseSchema, RequestSchema
from api.schemas.strict import page_of
from api.submit import run, submit
from metaqore.errors import NotFound

blp = Blueprint("history", __name__, url_prefix="/api/v1/projects", description="What was, and how to go back to it")


def _position(project: str, as_of: str | None) -> int | None:
    then = moment_of(project, as_of)
    return None if then is None else then.position


@blp.route("/<project>/checkpoints")
class Checkpoints(MethodView):
    """Named moments of a project."""

    @blp.operation("listCheckpoints", "projects:read")
    @blp.arguments(PastPageQuery, location="query")
    @blp.response(200, page_of(schemas.ProjectCheckpointSchema))
    @blp.problems(404)
    def get(self, query: dict[str, Any], project: str) -> dict[str, Any]:
        """List the checkpoints of a project"""
        place_of(project, None, "project")
        after, at = paging.after(query["page_token"], str), _position(project, query["as_of"])
        page = door().views.time.checkpoints(
            caller().organization, project, after=after, limit=query["page_size"], at=at
        )
        return paging.envelope(page)

    @blp.operation("createCheckpoint", "projects:write", "Idempotency-Key")
    @blp.arguments(schemas.NewProjectCheckpointSchema)
    @blp.response(201, schemas.ProjectCheckpointSchema)
    @blp.problems(404, 409)
    def post(self, body: dict[str, Any], project: str) -> Any:
        """Name a moment of a project; nothing is copied"""
        expires_at = body.get("expires_at")
        sent = {**body, "expires_at": None if expires_at is None else int(expires_at.timestamp() * 1000)}
        ran = run("checkpoint.create", sent, body={"project": project, **sent}, project=project)
        headers = {"Idempotency-Replayed": "true"} if ran.replayed else {}
        return ran.result, {**headers, "Location": f"/api/v1/projects/{project}/checkpoints/{ran.result['id']}"}


@blp.route("/<project>/checkpoints/<checkpoint>")
class Checkpoint(MethodView):
    """One checkpoint."""

    @blp.operation("getCheckpoint", "projects:read")
    @blp.arguments(AsOfQuery, location="query")
    @blp.response(200, schemas.ProjectCheckpointSchema)
    @blp.problems(404)
    def get(self, query: dict[str, Any], project: str, checkpoint: str) -> Any:
        """Read a checkpoint, now or as of a moment"""
        at = _position(project, query["as_of"])
        row = door().views.time.checkpoint(caller().organization, project, checkpoint, at=at)
        if row is None:
            raise NotFound(f"checkpoint {checkpoint} does not exist")
        return row

    @blp.operation("deleteCheckpoint", "projects:write")
    @blp.response(204)
    @blp.problems(404, 409)
    def delete(self, project: str, checkpoint: str) -> None:
        """Delete a checkpoint that nothing unfinished goes back to; the history itself stays"""
        run("checkpoint.delete", {"checkpoint": checkpoint}, body={}, project=project)


@blp.route("/<project>/diff")
class Diff(MethodView):
    """What differs between two moments."""

    @blp.operation("diffProject", "artifacts:read")
    @blp.arguments(schemas.DiffQuery, location="query")
    @blp.response(200, schemas.DiffSchema)
    @blp.problems(404)
    def get(self, query: dict[str, Any], project: str) -> dict[str, Any]:
        """Compare two moments of a project: members added, changed, moved and removed"""
        start, end = (place_of(project, query[field], field).position for field in ("from", "to"))
        if query["artifact"] is not None:
            return diffs.of_artifact(project, query["artifact"], start, end)
        return diffs.of_project(project, start, end, token=query["page_token"], limit=query["page_size"])


@blp.route("/<project>/restore")
class Restore(MethodView):
    """Going back."""

    @blp.operation("restoreProject", "projects:restore", "Prefer", "Idempotency-Key")
    @blp.arguments(schemas.RestoreSchema)
    @blp.whole_response(202, PromiseSchema)
    @blp.alt_response(200, schema=RequestSchema, success=True)
    @blp.problems(404, 409, 422)
    def post(self, body: dict[str, Any], project: str) -> Response:
        """Make artifacts and tasks as they were at a moment; nothing is erased, and it can be undone the same way"""
        place = place_of(project, body["to"], "to")
        payload = {**body, "position": place.position, "checkpoint": place.checkpoint}
        return submit("project.restore", project, payload, body={"project": project, **body})
