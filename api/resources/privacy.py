"""Data subjects: erasure (GDPR Art. 17), access (Art. 15), legal holds, retention."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from api import answers, paging, subjects
from api.blueprint import Blueprint
from api.door import caller, door
from api.schemas import privacy as schemas
from api.schemas.strict import PageQuery, page_of
from api.submit import run

blp = Blueprint("privacy", __name__, url_prefix="/api/v1/privacy", description="What becomes of people's data")


@blp.route("/erasures")
class Erasures(MethodView):
    """All erasures."""

    @blp.operation("listErasures", "privacy:manage")
    @blp.arguments(PageQuery, location="query")
    @blp.response(200, page_of(schemas.ErasureSchema))
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List erasures, the newest first"""
        after = paging.after(query["page_token"], str)
        views = door().views.privacy
        return paging.envelope(views.erasures(caller().organization, after=after, limit=query["page_size"]))

    @blp.operation("eraseSubject", "privacy:manage", "Idempotency-Key")
    @blp.arguments(schemas.NewErasureSchema)
    @blp.response(201, schemas.ErasureSchema)
    @blp.problems(404, 409)
    def post(self, body: dict[str, Any]) -> dict[str, Any]:
        """Erase a data subject; broker and files are cleaned by the system worker within minutes"""
        return subjects.erase(body)


@blp.route("/erasures/<erasure>")
class Erasure(MethodView):
    """One erasure."""

    @blp.operation("getErasure", "privacy:manage")
    @blp.response(200, schemas.ErasureSchema)
    @blp.problems(404)
    def get(self, erasure: str) -> dict[str, Any]:
        """Read how far an erasure has come"""
        return subjects.erasure(erasure)


@blp.route("/export")
class Export(MethodView):
    """Access."""

    @blp.operation("exportSubject", "privacy:manage")
    @blp.arguments(schemas.SubjectQuery, location="query")
    @blp.whole_response(200, schemas.ExportSchema)
    @blp.problems(404)
    def get(self, query: dict[str, Any]) -> Response:
        """Read everything that is kept of a data subject, payloads readable; that it was read is recorded"""
        return answers.body(subjects.export(query["subject"]))


@blp.route("/holds")
class Holds(MethodView):
    """Legal holds."""

    @blp.operation("listHolds", "privacy:manage")
    @blp.response(200, schemas.HoldsSchema)
    def get(self) -> dict[str, Any]:
        """List the legal holds in force"""
        return {"items": door().views.privacy.holds(caller().organization)}

    @blp.operation("placeHold", "privacy:manage", "Idempotency-Key")
    @blp.arguments(schemas.NewHoldSchema)
    @blp.response(201, schemas.HoldSchema)
    @blp.problems(404)
    def post(self, body: dict[str, Any]) -> dict[str, Any]:
        """Place a hold on a subject, or on the whole organization: nothing is erased and nothing expires"""
        return subjects.hold(body)


@blp.route("/holds/<hold>")
class Hold(MethodView):
    """One hold."""

    @blp.operation("releaseHold", "privacy:manage")
    @blp.response(204)
    @blp.problems(404)
    def delete(self, hold: str) -> None:
        """Release a legal hold"""
        run("hold.release", {"hold": hold}, body={})


@blp.route("/retention")
class Retention(MethodView):
    """How long payloads are kept."""

    @blp.operation("listRetention", "privacy:manage")
    @blp.response(200, schemas.RetentionsSchema)
    def get(self) -> dict[str, Any]:
        """List how long each class of payloads is kept"""
        return subjects.retention()

    @blp.operation("setRetention", "privacy:manage", "Idempotency-Key")
    @blp.arguments(schemas.RetentionSchema)
    @blp.response(200, schemas.RetentionSchema)
    def put(self, body: dict[str, Any]) -> dict[str, Any]:
        """Choose how long a class is kept, 183 days at least; entries of the audit log are kept for ever"""
        run("retention.save", {"class": body["data_class"], "days": body["days"]}, body=body)
        return body
