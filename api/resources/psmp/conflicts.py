"""Conflicts, and the ways out of them. Resolving is decided by a worker."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from api import paging
from api.blueprint import Blueprint
from api.door import caller, door
from api.moments import views_at, views_of
from api.preconditions import conditional
from api.reports import with_standing
from api.schemas import psmp as schemas
from api.schemas.moments import AsOfQuery
from api.schemas.requests import PromiseSchema, RequestSchema
from api.schemas.strict import page_of
from api.submit import submit
from metaqore.errors import InvalidInput, NotFound
from metaqore.psmp.checkpoints import refuse
from metaqore.store.views.lookup import Page

blp = Blueprint("conflicts", __name__, url_prefix="/api/v1/conflicts", description="What stands in the way, and why")


@blp.route("")
class Conflicts(MethodView):
    """All conflicts."""

    @blp.operation("listConflicts", "artifacts:read")
    @blp.arguments(schemas.ConflictQuery, location="query")
    @blp.response(200, page_of(schemas.ConflictSchema))
    @blp.problems(404)
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List conflicts, the newest first"""
        if query["as_of"] is not None and query["project"] is None:
            refuse("as_of", "a moment is one of a project's history: name the project")
        page = views_at(query["project"], query["as_of"]).conflicts(
            caller().organization, project=query["project"], state=query["state"], severity=query["severity"],
            conflict_class=query["class"], after=paging.after(query["page_token"], str), limit=query["page_size"],
        )  # fmt: skip
        if query["as_of"] is None:
            page = Page(with_standing(page.items), page.last)
        return paging.envelope(page)


@blp.route("/<conflict>")
class Conflict(MethodView):
    """One conflict."""

    @blp.operation("getConflict", "artifacts:read")
    @blp.arguments(AsOfQuery, location="query")
    @blp.response(200, schemas.ConflictSchema)
    @blp.problems(404)
    def get(self, query: dict[str, Any], conflict: str) -> Any:
        """Read a conflict, now or as of a moment"""
        row = views_of("conflicts", conflict, query["as_of"]).conflict(caller().organization, conflict)
        if row is None:
            raise NotFound(f"conflict {conflict} does not exist")
        return row if query["as_of"] is not None else with_standing([row])[0]


@blp.route("/<conflict>/resolve")
class Resolution(MethodView):
    """The way out of a conflict."""

    @blp.operation("resolveConflict", "conflicts:resolve", "Prefer", "Idempotency-Key", "If-Match", "If-None-Match")
    @blp.arguments(schemas.ResolveSchema)
    @blp.whole_response(202, PromiseSchema)
    @blp.alt_response(200, schema=RequestSchema, success=True)
    @blp.problems(403, 404, 409, 412)
    def post(self, body: dict[str, Any], conflict: str) -> Response:
        """Resolve a conflict: retry, merge, override or escalate"""
        project = door().views.psmp.project_of(caller().organization, "conflicts", conflict)
        if project is None:
            raise NotFound(f"conflict {conflict} does not exist")
        if body["strategy"] == "override" and not body["reason"].strip():
            place = {"pointer": "/reason", "detail": "say why; it is kept with the version"}
            raise InvalidInput("override needs a reason", errors=[place])
        authority = [scope for scope in ("conflicts:override",) if caller().may(scope)]
        payload = conditional({"conflict": conflict, "authority": authority, **body})
        return submit("conflict.resolve", project, payload, body=body)
