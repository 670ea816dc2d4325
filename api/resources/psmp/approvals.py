"""Approvals: what a person is asked to decide. Answering is decided by a worker."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from api import paging
from api.blueprint import Blueprint
from api.door import caller, door
from api.moments import place_of
from api.schemas import psmp_approvals as schemas
from api.schemas.moments import AsOfQuery
from api.schemas.requests import PromiseSchema, RequestSchema
from api.schemas.strict import page_of
from api.submit import submit
from metaqore.errors import NotFound
from metaqore.psmp.checkpoints import refuse
from metaqore.security.approved import PAYLOAD

blp = Blueprint("approvals", __name__, url_prefix="/api/v1/approvals", description="What waits for a person's word")


def approval_of(approval: str, as_of: str | None = None) -> Any:
    """Return an approval's row, now or as of a moment of its project.

    Raises:
        NotFound: there is none in the caller's organization.
        InvalidInput: it has no such moment.
    """
    views = door().views.approvals
    row = views.approval(caller().organization, approval)
    if row is not None and as_of is not None:
        row = views.approval(caller().organization, approval, at=_position(row["project"], as_of))
    if row is None:
        raise NotFound(f"approval {approval} does not exist")
    return row


def _payload_of(row: Any) -> Any:
    """Return what a payload's approval lets through, for whoever may give it; None for everybody else."""
    request = row["base"].get("request") if row["subject_kind"] == PAYLOAD else None
    if request is None or not caller().may(row["needed_scope"]):
        return None
    return door().views.approvals.payload(caller().organization, request)


def _position(project: str | None, as_of: str) -> int:
    if project is None:
        refuse("as_of", "a moment is one of a project's history, and this belongs to none: name the project")
    return place_of(project, as_of, "as_of").position


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
        at = None if query["as_of"] is None else _position(query["project"], query["as_of"])
        page = door().views.approvals.approvals(
            caller().organization, project=query["project"], state=query["state"],
            after=paging.after(query["page_token"], str), limit=query["page_size"], at=at,
        )  # fmt: skip
        return paging.envelope(page)


@blp.route("/<approval>")
class Approval(MethodView):
    """One approval."""

    @blp.operation("getApproval", "artifacts:read")
    @blp.arguments(AsOfQuery, location="query")
    @blp.response(200, schemas.WholeApprovalSchema)
    @blp.problems(404)
    def get(self, query: dict[str, Any], approval: str) -> Any:
        """Read an approval, now or as of a moment; what it is about is at /proposals/{subject}, or its payload"""
        row = approval_of(approval, query["as_of"])
        return {**row, "payload": _payload_of(row)}


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
