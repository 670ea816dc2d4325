"""Approvals: what a person is asked to decide. Answering is decided by a worker."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from api import paging
from api.blueprint import Blueprint
from api.door import caller, door
from api.schemas import psmp_approvals as schemas
from api.schemas.requests import PromiseSchema, RequestSchema
from api.schemas.strict import page_of
from api.submit import submit
from metaqore.errors import NotFound

blp = Blueprint("approvals", __name__, url_prefix="/api/v1/approvals", description="What waits for a person's word")


def approval_of(approval: str) -> Any:
    """Return an approval's row.

    Raises:
        NotFound: there is none in the caller's organization.
    """
    row = door().views.approvals.approval(caller().organization, approval)
    if row is None:
        raise NotFound(f"approval {approval} does not exist")
    return row


def _answer(approval: str, answer: str, body: dict[str, Any]) -> Response:
    row = approval_of(approval)
    authority = [scope for scope in (row["needed_scope"],) if caller().may(scope)]
    payload = {"approval": approval, "answer": answer, "authority": authority, **body}
    return submit("approval.answer", row["project"], payload, body=body)


@blp.route("")
class Approvals(MethodView):
    """All approvals."""

    @blp.operation("listApprovals", "artifacts:read")
    @blp.arguments(schemas.ApprovalQuery, location="query")
    @blp.response(200, page_of(schemas.ApprovalSchema))
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List approvals, the newest first"""
        page = door().views.approvals.approvals(
            caller().organization, project=query["project"], state=query["state"],
            after=paging.after(query["page_token"], str), limit=query["page_size"],
        )  # fmt: skip
        return paging.envelope(page)


@blp.route("/<approval>")
class Approval(MethodView):
    """One approval."""

    @blp.operation("getApproval", "artifacts:read")
    @blp.response(200, schemas.ApprovalSchema)
    @blp.problems(404)
    def get(self, approval: str) -> Any:
        """Read an approval; what it is about is at /proposals/{subject}"""
        return approval_of(approval)


@blp.route("/<approval>/approve")
class Approve(MethodView):
    """Yes."""

    @blp.operation("approve", "approvals:answer", "Prefer", "Idempotency-Key")
    @blp.arguments(schemas.AnswerSchema)
    @blp.whole_response(202, PromiseSchema)
    @blp.alt_response(200, schema=RequestSchema, success=True)
    @blp.problems(403, 404, 409, 412)
    def post(self, body: dict[str, Any], approval: str) -> Response:
        """Let through exactly the content that was shown; its author may not"""
        return _answer(approval, "approve", body)


@blp.route("/<approval>/deny")
class Deny(MethodView):
    """No."""

    @blp.operation("deny", "approvals:answer", "Prefer", "Idempotency-Key")
    @blp.arguments(schemas.AnswerSchema)
    @blp.whole_response(202, PromiseSchema)
    @blp.alt_response(200, schema=RequestSchema, success=True)
    @blp.problems(403, 404, 409, 412)
    def post(self, body: dict[str, Any], approval: str) -> Response:
        """Refuse it; a proposal is closed with it"""
        return _answer(approval, "deny", body)
