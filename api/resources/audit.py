"""The audit log: what was recorded, how it is sealed, and the proofs."""

from __future__ import annotations

import base64
from typing import Any

from flask import Response
from flask.views import MethodView

from api import answers, evidence, paging
from api.blueprint import Blueprint
from api.door import caller, door
from api.schemas import audit as schemas
from api.schemas.strict import PageQuery, page_of

blp = Blueprint("audit", __name__, url_prefix="/api/v1/audit", description="What was recorded, with proof")


@blp.route("/entries")
class Entries(MethodView):
    """All entries."""

    @blp.operation("listAuditEntries", "audit:read")
    @blp.arguments(schemas.EntryQuery, location="query")
    @blp.whole_response(200, page_of(schemas.EntrySchema))
    def get(self, query: dict[str, Any]) -> Response:
        """List audit entries in their order; a page may be shorter than asked for, go on while there is a token"""
        as_of = query["as_of"]
        page = door().views.audit.entries(
            caller().organization, tag=query["tag"], actor=query["actor"], project=query["project"],
            request=query["request"], as_of=None if as_of is None else int(as_of.timestamp() * 1000),
            after=paging.after(query["page_token"], int), limit=query["page_size"],
        )  # fmt: skip
        return answers.body(paging.envelope(page))


@blp.route("/checkpoints")
class Checkpoints(MethodView):
    """All checkpoints."""

    @blp.operation("listAuditCheckpoints", "audit:read")
    @blp.arguments(PageQuery, location="query")
    @blp.response(200, schemas.SignedCheckpointPageSchema)
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List signed checkpoints, the newest first, and the keys that signed them"""
        views, after = door().views.audit, paging.after(query["page_token"], int)
        page = views.checkpoints(caller().organization, after=after, limit=query["page_size"])
        return {**paging.envelope(page), "keys": views.verifier_keys()}


@blp.route("/proofs/<seq>")
class Proof(MethodView):
    """One receipt."""

    @blp.operation("getAuditProof", "audit:read")
    @blp.whole_response(200, schemas.ReceiptSchema)
    @blp.problems(404)
    def get(self, seq: str) -> Response:
        """Read the receipt of an entry: leaf hash, inclusion proof and signed checkpoint"""
        return answers.body(evidence.proof(seq))


@blp.route("/consistency")
class Consistency(MethodView):
    """One consistency proof."""

    @blp.operation("getAuditConsistency", "audit:read")
    @blp.arguments(schemas.ConsistencyQuery, location="query")
    @blp.response(200, schemas.ConsistencySchema)
    @blp.problems(404)
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """Read the proof that the newest checkpoint continues an older one: what a witness asks for"""
        note, proof = door().views.audit.consistency(caller().organization, query["old"])
        hashes = [base64.b64encode(node).decode() for node in proof]
        return {"old": query["old"], "proof": hashes, "checkpoint": note}


@blp.route("/receipts/verify")
class Receipts(MethodView):
    """Checking receipts."""

    @blp.operation("verifyAuditReceipt", "audit:read")
    @blp.arguments(schemas.CheckSchema)
    @blp.response(200, schemas.CheckedSchema)
    def post(self, body: dict[str, Any]) -> dict[str, Any]:
        """Check a receipt, or what was kept of a result or webhook, against this organization's log"""
        return evidence.check(body)
