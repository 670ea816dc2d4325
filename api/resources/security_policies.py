"""Custom policies and the decisions that were made by them."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView

from api.blueprint import Blueprint
from api.door import caller, door
from api.policy_preview import preview
from api.schemas import security_policy as schemas
from api.submit import run
from metaqore.errors import NotFound

policies = Blueprint("policies", __name__, url_prefix="/api/v1/policies", description="What SecureGateway decides by")
decisions = Blueprint("decisions", __name__, url_prefix="/api/v1/decisions", description="What SecureGateway decided")


@policies.route("")
class Policies(MethodView):
    """The policy of the organization, or of a project."""

    @policies.operation("listPolicies", "policies:read")
    @policies.arguments(schemas.PolicyQuery, location="query")
    @policies.response(200, schemas.PoliciesSchema)
    @policies.problems(404)
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List the versions of a custom policy, the newest first, and what the engine's own file is"""
        if query["project"] is not None:
            door().projects.check(caller().organization, query["project"])
        rows = door().views.security.policies(caller().organization, query["project"] or "")
        return {"built_in": door().engine.policies.report(), "items": rows}

    @policies.operation("savePolicy", "policies:manage", "Idempotency-Key")
    @policies.arguments(schemas.NewPolicySchema)
    @policies.response(200, schemas.SavedPolicySchema)
    @policies.problems(403, 404, 412)
    def post(self, body: dict[str, Any]) -> Any:
        """Save a policy as a new version; it holds for every request that is decided from then on"""
        if body.get("project") is not None:
            door().projects.check(caller().organization, body["project"])
        return run("policy.save", body, body=body).result


@policies.route("/preview")
class Preview(MethodView):
    """A policy that is only tried."""

    @policies.operation("previewPolicy", "policies:manage")
    @policies.arguments(schemas.PreviewPolicySchema)
    @policies.response(200, schemas.PreviewSchema)
    @policies.problems(404)
    def post(self, body: dict[str, Any]) -> Any:
        """Say which of the latest decisions a policy would have decided otherwise; writes nothing"""
        if body.get("project") is not None:
            door().projects.check(caller().organization, body["project"])
        return preview(body)


@decisions.route("/<decision>")
class Decision(MethodView):
    """One decision."""

    @decisions.operation("getDecision", "policies:read")
    @decisions.response(200, schemas.DecisionSchema)
    @decisions.problems(404)
    def get(self, decision: str) -> Any:
        """Read a decision: reasons, rules and policies with their versions"""
        row = door().views.security.decision(caller().organization, decision)
        if row is None:
            raise NotFound(f"decision {decision} does not exist")
        return row
