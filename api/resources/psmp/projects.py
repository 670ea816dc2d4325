"""Projects, and what stands in their way."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView

from api import paging, reports
from api.answers import labels
from api.blueprint import MERGE_PATCH, Blueprint
from api.door import authority, caller, door
from api.merge_patch import merged
from api.moments import time_of, views_at
from api.preconditions import expected_version, tag, unchanged
from api.schemas import psmp as schemas
from api.schemas.moments import AsOfQuery, PastPageQuery
from api.schemas.psmp_reports import BlockingReportSchema
from api.schemas.strict import page_of
from api.submit import run
from metaqore.errors import NotFound

blp = Blueprint("projects", __name__, url_prefix="/api/v1/projects", description="Where artifacts live, with a mode")


def project_of(project: str, as_of: str | None = None) -> Any:
    """Return a project's row, now or as of a moment.

    Raises:
        NotFound: there is none in the caller's organization.
    """
    row = views_at(project, as_of).project(caller().organization, project)
    if row is None:
        raise NotFound(f"project {project} does not exist")
    return row


@blp.route("")
class Projects(MethodView):
    """All projects."""

    @blp.operation("listProjects", "projects:read")
    @blp.arguments(schemas.ProjectQuery, location="query")
    @blp.response(200, page_of(schemas.ProjectSchema))
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List projects, now or as of a time"""
        asked = {"state": query["state"], "after": paging.after(query["page_token"], str), "limit": query["page_size"]}
        if query["as_of"] is None:
            return paging.envelope(door().views.psmp.projects(caller().organization, **asked))
        return paging.envelope(door().views.time.projects(caller().organization, time_of(query["as_of"]), **asked))

    @blp.operation("createProject", "projects:write", "Idempotency-Key")
    @blp.arguments(schemas.NewProjectSchema)
    @blp.response(201, schemas.ProjectSchema)
    def post(self, body: dict[str, Any]) -> tuple[Any, dict[str, str]]:
        """Create a project"""
        ran = run("project.save", body, body=body)
        return ran.result, {**labels(ran), "Location": f"/api/v1/projects/{ran.result['id']}"}


@blp.route("/<project>")
class Project(MethodView):
    """One project."""

    @blp.operation("getProject", "projects:read", "If-None-Match")
    @blp.arguments(AsOfQuery, location="query")
    @blp.response(200, schemas.ProjectSchema)
    @blp.problems(404)
    def get(self, query: dict[str, Any], project: str) -> Any:
        """Read a project, now or as of a moment"""
        row = project_of(project, query["as_of"])
        return unchanged(row["version"]) or (row, {"ETag": tag(row["version"])})

    @blp.operation("changeProject", "projects:write", "If-Match", "Idempotency-Key")
    @blp.arguments(schemas.ProjectPatchSchema, content_type=MERGE_PATCH)
    @blp.response(200, schemas.ProjectSchema)
    @blp.problems(404, 409, 412, 428)
    def patch(self, changes: dict[str, Any], project: str) -> tuple[Any, dict[str, str]]:
        """Change a project (merge patch)"""
        row = project_of(project)
        expected = expected_version(required=True)
        payload = merged(row, changes, {"description": "", "metadata": {}})
        version = row["version"] if expected is None else expected
        payload.update(id=project, expected_version=version, authority=authority())
        ran = run("project.save", payload, body=changes, project=project)
        return ran.result, labels(ran)

    @blp.operation("archiveProject", "projects:write", "If-Match")
    @blp.response(200, schemas.ProjectSchema)
    @blp.problems(404, 409, 412)
    def delete(self, project: str) -> Any:
        """Archive a project: it admits nothing more; nothing is lost"""
        row, expected = project_of(project), expected_version(required=False)
        if row["state"] == "archived":
            return row, {"ETag": tag(row["version"])}
        payload = {"id": project, "state": "archived", "expected_version": expected, "authority": authority()}
        ran = run("project.save", payload, body={}, project=project)
        return ran.result, labels(ran)


@blp.route("/<project>/blocking-report")
class BlockingReport(MethodView):
    """What stands in the way of a project."""

    @blp.operation("getBlockingReport", "artifacts:read")
    @blp.arguments(PastPageQuery, location="query")
    @blp.response(200, BlockingReportSchema)
    @blp.problems(404)
    def get(self, query: dict[str, Any], project: str) -> dict[str, Any]:
        """Read what is blocked, why, and what to do about it"""
        row, views = project_of(project, query["as_of"]), views_at(project, query["as_of"])
        standing = views.standing(caller().organization, project)
        after = paging.after(query["page_token"], str)
        page = views.blocked(caller().organization, project, after=after, limit=query["page_size"])
        items = reports.with_remedies(page.items) if query["as_of"] is None else reports.without_remedies(page.items)
        report = {"project": project, "mode": row["mode"], "is_blocked": standing["open"] > 0, **standing}
        return {**report, **paging.envelope(page), "items": items}
