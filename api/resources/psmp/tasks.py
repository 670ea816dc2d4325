"""Tasks of a project."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView

from api import paging
from api.answers import labels
from api.blueprint import MERGE_PATCH, Blueprint
from api.door import authority, caller
from api.merge_patch import merged
from api.moments import views_at, views_of
from api.preconditions import expected_version, tag, unchanged
from api.schemas import psmp as schemas
from api.schemas.moments import AsOfQuery
from api.schemas.strict import page_of
from api.submit import run
from metaqore.errors import NotFound

blp = Blueprint("tasks", __name__, url_prefix="/api/v1/tasks", description="Who is to do what, after what")


def _task(task: str, as_of: str | None = None) -> Any:
    row = views_of("tasks", task, as_of).task(caller().organization, task)
    if row is None:
        raise NotFound(f"task {task} does not exist")
    return row


@blp.route("")
class Tasks(MethodView):
    """All tasks of a project."""

    @blp.operation("listTasks", "projects:read")
    @blp.arguments(schemas.TaskQuery, location="query")
    @blp.response(200, page_of(schemas.TaskSchema))
    @blp.problems(404)
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List the tasks of a project"""
        page = views_at(query["project"], query["as_of"]).tasks(
            caller().organization, query["project"], state=query["state"], assigned_to=query["assigned_to"],
            after=paging.after(query["page_token"], str), limit=query["page_size"],
        )  # fmt: skip
        return paging.envelope(page)

    @blp.operation("createTask", "tasks:write", "Idempotency-Key")
    @blp.arguments(schemas.NewTaskSchema)
    @blp.response(201, schemas.TaskSchema)
    @blp.problems(404)
    def post(self, body: dict[str, Any]) -> tuple[Any, dict[str, str]]:
        """Create a task"""
        payload = {name: value for name, value in body.items() if name != "project"}
        ran = run("task.save", payload, body=body, project=body["project"])
        return ran.result, {**labels(ran), "Location": f"/api/v1/tasks/{ran.result['id']}"}


@blp.route("/<task>")
class Task(MethodView):
    """One task."""

    @blp.operation("getTask", "projects:read", "If-None-Match")
    @blp.arguments(AsOfQuery, location="query")
    @blp.response(200, schemas.TaskSchema)
    @blp.problems(404)
    def get(self, query: dict[str, Any], task: str) -> Any:
        """Read a task, now or as of a moment"""
        row = _task(task, query["as_of"])
        return unchanged(row["version"]) or (row, {"ETag": tag(row["version"])})

    @blp.operation("changeTask", "tasks:write", "If-Match", "Idempotency-Key")
    @blp.arguments(schemas.TaskPatchSchema, content_type=MERGE_PATCH)
    @blp.response(200, schemas.TaskSchema)
    @blp.problems(404, 409, 412, 428)
    def patch(self, changes: dict[str, Any], task: str) -> tuple[Any, dict[str, str]]:
        """Change a task (merge patch)"""
        row, expected = _task(task), expected_version(required=True)
        payload = merged(row, changes, {"assigned_to": None, "metadata": {}})
        version = row["version"] if expected is None else expected
        payload.update(id=task, expected_version=version, authority=authority())
        ran = run("task.save", payload, body=changes, project=row["project"])
        return ran.result, labels(ran)
