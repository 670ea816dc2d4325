"""What would be decided: now, or in the past, by this or another policy. Nothing is written; no worker is needed."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView

from api import what_if
from api.blueprint import Blueprint
from api.schemas import psmp_time as schemas
from api.schemas.requests import PromiseSchema

blp = Blueprint("what-if", __name__, url_prefix="/api/v1/decisions", description="What would be decided, and why")


@blp.route("/preview")
class Preview(MethodView):
    """Decisions about declarations, now."""

    @blp.operation("previewDecisions", "artifacts:read")
    @blp.arguments(schemas.DecisionPreviewSchema)
    @blp.response(200, schemas.DecisionsPreviewedSchema)
    @blp.problems(404, 422)
    def post(self, body: dict[str, Any]) -> Any:
        """Try declarations, by the policy in force, another one, or in another mode"""
        return what_if.preview(body)


@blp.route("/replay")
class Replay(MethodView):
    """Decisions of the past."""

    @blp.operation("replayDecisions", "artifacts:read", "Idempotency-Key")
    @blp.arguments(schemas.HistoryReplaySchema)
    @blp.response(200, schemas.HistoryReplayedSchema)
    @blp.alt_response(202, schema=PromiseSchema, success=True)
    @blp.problems(404, 422, 429)
    def post(self, body: dict[str, Any]) -> Any:
        """Decide a range of a project's history again, by another policy or in another mode, consequences included

        More than 5000 decisions, or with ``Prefer: respond-async``, are accepted as a request: a worker performs it,
        and ``GET /requests/{id}`` has the same report as its ``result``. With ``Accept: application/x-ndjson`` it is
        streamed however long it takes: a line ``{"progress": …}`` now and then, and ``{"result": …}`` at the end. The
        report names the first 500 decisions that come out another way; those beyond are lines ``{"changed": …}``.
        """
        return what_if.replay(body)
