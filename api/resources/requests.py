"""Requests: where they are, what was decided, and taking them back."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from api import answers, paging
from api.blueprint import Blueprint
from api.door import caller, door
from api.poll import poll
from api.schemas import requests as schemas
from api.schemas.strict import page_of
from api.submit import run

blp = Blueprint("requests", __name__, url_prefix="/api/v1/requests", description="What was asked, and what was decided")


@blp.route("")
class Requests(MethodView):
    """All requests."""

    @blp.operation("listRequests", "requests:read")
    @blp.arguments(schemas.RequestQuery, location="query")
    @blp.whole_response(200, page_of(schemas.RequestSchema))
    def get(self, query: dict[str, Any]) -> Response:
        """List requests, the newest first"""
        page = door().views.requests.find(
            caller().organization, state=query["state"], verdict=query["verdict"], kind=query["kind"],
            project=query["project"], after=paging.after(query["page_token"], int), limit=query["page_size"],
        )  # fmt: skip
        return answers.body(paging.envelope(page, answers.raw))


@blp.route("/<request_id>")
class Request(MethodView):
    """One request."""

    @blp.operation("getRequest", "requests:read", "Prefer", "If-None-Match")
    @blp.whole_response(200, schemas.RequestSchema)
    @blp.problems(404)
    def get(self, request_id: str) -> Response:
        """Read a request; with Prefer: wait=N, wait up to N seconds until it is finished"""
        return poll(request_id)


@blp.route("/<request_id>/cancel")
class Cancel(MethodView):
    """Taking a request back."""

    @blp.operation("cancelRequest", "requests:cancel")
    @blp.whole_response(200, schemas.RequestSchema)
    @blp.problems(404, 409, 422)
    def post(self, request_id: str) -> Response:
        """Cancel a request that is not finished"""
        run("request.cancel", {"request": request_id}, body={})
        door().announcements.tell(door().views.requests.finished([request_id]))
        return poll(request_id)
