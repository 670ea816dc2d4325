"""SecureGateway: what is this, and where may it go?"""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from api.blueprint import Blueprint
from api.door import caller, door
from api.schemas.requests import PromiseSchema, RequestSchema
from api.schemas.security import AssessSchema
from api.submit import submit

blp = Blueprint("security", __name__, url_prefix="/api/v1/security", description="Sensitivity, residency, vetoes")


@blp.route("/assess")
class Assess(MethodView):
    """One assessment."""

    @blp.operation("assessPayload", "security:assess", "Prefer", "Idempotency-Key")
    @blp.arguments(AssessSchema)
    @blp.whole_response(202, PromiseSchema)
    @blp.alt_response(200, schema=RequestSchema, success=True)
    @blp.problems(403, 404)
    def post(self, body: dict[str, Any]) -> Response:
        """Label a content and decide which providers may see it; a veto is 403 with its reasons"""
        project = body.pop("project", None)
        if project is not None:
            door().projects.check(caller().organization, project)
        return submit("payload.assess", project, body)
