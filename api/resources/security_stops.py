"""The kill switch: principals, projects and providers that may do nothing."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView

from api.blueprint import Blueprint
from api.door import caller, door
from api.schemas import security_policy as schemas
from api.submit import run

blp = Blueprint("stops", __name__, url_prefix="/api/v1/stops", description="Who may do nothing, effective in a second")


@blp.route("")
class Stops(MethodView):
    """All stops."""

    @blp.operation("listStops", "security:stop")
    @blp.response(200, schemas.StopsSchema)
    def get(self) -> dict[str, Any]:
        """List what is stopped"""
        return {"items": door().views.security.stops(caller().organization)}

    @blp.operation("setStop", "security:stop", "Idempotency-Key")
    @blp.arguments(schemas.NewStopSchema)
    @blp.response(201, schemas.StopSchema)
    @blp.problems(409)
    def post(self, body: dict[str, Any]) -> Any:
        """Stop a principal, project or provider: also what was accepted of it before, and answers under way"""
        since = body.pop("quarantine_since", None)
        payload = {**body, "quarantine_since": None if since is None else int(since.timestamp() * 1000)}
        result = run("stop.set", payload, body=payload).result
        door().stops.forget()
        return result


@blp.route("/lift")
class Lift(MethodView):
    """The end of one stop."""

    @blp.operation("liftStop", "security:stop")
    @blp.arguments(schemas.LiftSchema)
    @blp.response(204)
    @blp.problems(404)
    def post(self, body: dict[str, Any]) -> None:
        """Let a principal, project or provider go on"""
        run("stop.lift", body, body=body)
        door().stops.forget()
