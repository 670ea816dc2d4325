"""HMCP: patterns that were found, specialists that were trained, and asking for either."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response
from flask.views import MethodView

from api import paging
from api.blueprint import Blueprint
from api.door import caller, door
from api.schemas import hmcp as schemas
from api.schemas.requests import PromiseSchema, RequestSchema
from api.schemas.strict import page_of
from api.submit import run, submit

patterns = Blueprint("patterns", __name__, url_prefix="/api/v1/patterns", description="Work that repeats")
specialists = Blueprint("specialists", __name__, url_prefix="/api/v1/specialists", description="Models trained for it")


@patterns.route("")
class Patterns(MethodView):
    """All patterns."""

    @patterns.operation("listPatterns", "hmcp:read")
    @patterns.arguments(schemas.PatternQuery, location="query")
    @patterns.response(200, page_of(schemas.PatternSchema))
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List the patterns that were found"""
        after = paging.after(query["page_token"], str)
        return paging.envelope(
            door().views.hmcp.patterns(
                caller().organization, state=query["state"], after=after, limit=query["page_size"]
            )
        )  # fmt: skip


@patterns.route("/discover")
class Discovery(MethodView):
    """Looking for patterns."""

    @patterns.operation("discoverPatterns", "hmcp:train", "Prefer", "Idempotency-Key")
    @patterns.arguments(schemas.DiscoverSchema)
    @patterns.whole_response(202, PromiseSchema)
    @patterns.alt_response(200, schema=RequestSchema, success=True)
    def post(self, body: dict[str, Any]) -> Response:
        """Look for work that repeats in what was recorded"""
        return submit("patterns.discover", None, body)


@specialists.route("")
class Specialists(MethodView):
    """All specialists."""

    @specialists.operation("listSpecialists", "hmcp:read")
    @specialists.arguments(schemas.SpecialistQuery, location="query")
    @specialists.response(200, page_of(schemas.SpecialistSchema))
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List the specialists, with what the gate measured"""
        page = door().views.hmcp.specialists(
            caller().organization, state=query["state"], pattern=query["pattern"],
            after=paging.after(query["page_token"], str), limit=query["page_size"],
        )  # fmt: skip
        return paging.envelope(page)


@specialists.route("/train")
class Training(MethodView):
    """Training a specialist."""

    @specialists.operation("trainSpecialist", "hmcp:train", "Prefer", "Idempotency-Key")
    @specialists.arguments(schemas.TrainSchema)
    @specialists.whole_response(202, PromiseSchema)
    @specialists.alt_response(200, schema=RequestSchema, success=True)
    @specialists.problems(404)
    def post(self, body: dict[str, Any]) -> Response:
        """Train a specialist for a pattern; it is registered only when it passes the gate"""
        return submit("specialist.train", None, body)


@specialists.route("/<specialist>/retire")
class Retirement(MethodView):
    """The end of a specialist."""

    @specialists.operation("retireSpecialist", "hmcp:train")
    @specialists.response(200, schemas.RetiredSchema)
    @specialists.problems(404, 409, 422)
    def post(self, specialist: str) -> Mapping[str, Any]:
        """Have a specialist answer no more; its calls go to their provider from the next one on"""
        return run("specialist.retire", {"specialist": specialist}, body={}).result
