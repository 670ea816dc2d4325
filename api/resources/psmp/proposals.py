"""Blocked proposals: what was declared, what stands in its way, and taking it back."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from api import reports
from api.blueprint import Blueprint
from api.door import caller, door
from api.preconditions import conditional
from api.schemas import psmp_reports as schemas
from api.schemas.moments import AsOfQuery
from api.schemas.requests import PromiseSchema, RequestSchema
from api.submit import submit
from metaqore.errors import NotFound

blp = Blueprint("proposals", __name__, url_prefix="/api/v1/proposals", description="Declarations that were blocked")


@blp.route("/<proposal>")
class Proposal(MethodView):
    """One blocked proposal."""

    @blp.operation("getProposal", "artifacts:read")
    @blp.arguments(AsOfQuery, location="query")
    @blp.response(200, schemas.ProposalSchema)
    @blp.problems(404)
    def get(self, query: dict[str, Any], proposal: str) -> Any:
        """Read what was declared, what stands in its way now, or stood as of a moment, and the ways out of it"""
        found = reports.proposal(proposal, query["as_of"])
        if found is None:
            raise NotFound(f"proposal {proposal} does not exist")
        return found


@blp.route("/<proposal>/withdraw")
class Withdrawal(MethodView):
    """Taking a proposal back."""

    @blp.operation("withdrawProposal", "artifacts:write", "Prefer", "Idempotency-Key", "If-Match", "If-None-Match")
    @blp.arguments(schemas.WithdrawSchema)
    @blp.whole_response(202, PromiseSchema)
    @blp.alt_response(200, schema=RequestSchema, success=True)
    @blp.problems(403, 404, 409, 412)
    def post(self, body: dict[str, Any], proposal: str) -> Response:
        """Withdraw one's own proposal: it and its conflicts are closed, nothing is admitted"""
        project = door().views.psmp.project_of(caller().organization, "proposals", proposal)
        if project is None:
            raise NotFound(f"proposal {proposal} does not exist")
        return submit("proposal.withdraw", project, conditional({"proposal": proposal, **body}), body=body)
