"""What goes out: the event stream, webhook endpoints and their deliveries."""

from __future__ import annotations

from typing import Any

from flask import request
from flask.views import MethodView

from api import endpoints, paging
from api.blueprint import MERGE_PATCH, Blueprint
from api.door import caller, door
from api.schemas import delivery as schemas
from api.schemas.strict import PageQuery, page_of
from api.stream import stream
from api.submit import run
from metaqore.store.views.lookup import Page

events = Blueprint("events", __name__, url_prefix="/api/v1/events", description="What happened, in order")
webhooks = Blueprint("webhooks", __name__, url_prefix="/api/v1/webhooks", description="Where events are sent to")


@events.route("")
class Events(MethodView):
    """The events of the organization."""

    @events.operation("listEvents", "events:read", "Last-Event-ID")
    @events.arguments(schemas.EventQuery, location="query")
    @events.response(200, page_of(schemas.EventSchema))
    @events.alt_response(200, schema={"type": "string"}, content_type="text/event-stream", success=True)
    def get(self, query: dict[str, Any]) -> Any:
        """Follow events as a stream (SSE, resumes by Last-Event-ID), or list them (format=json)"""
        types = [name.strip() for name in query["types"].split(",") if name.strip()]
        accepts_json = request.accept_mimetypes.best == "application/json"
        if query["format"] == "sse" or (query["format"] is None and not accepts_json):
            return stream(query, types)
        after = paging.after(query["page_token"], int) or query["after"] or 0
        rows, seen, more = door().views.delivery.events(
            caller().organization, after=after, project=query["project"], types=types, limit=query["page_size"]
        )  # fmt: skip
        return paging.envelope(Page(rows, seen if more else None))


@webhooks.route("")
class Endpoints(MethodView):
    """All endpoints."""

    @webhooks.operation("listWebhooks", "webhooks:manage")
    @webhooks.arguments(PageQuery, location="query")
    @webhooks.response(200, page_of(schemas.EndpointSchema))
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List webhook endpoints, without secrets"""
        after = paging.after(query["page_token"], str)
        page = door().views.delivery.endpoints(caller().organization, after=after, limit=query["page_size"])
        return paging.envelope(page)

    @webhooks.operation("createWebhook", "webhooks:manage", "Idempotency-Key")
    @webhooks.arguments(schemas.NewEndpointSchema)
    @webhooks.response(201, schemas.SecretEndpointSchema)
    @webhooks.problems(404, 409)
    def post(self, body: dict[str, Any]) -> Any:
        """Create a webhook endpoint; its secret is in this answer and nowhere else"""
        shown, headers = endpoints.save(body, body)
        return shown, {**headers, "Location": f"/api/v1/webhooks/{shown['id']}"}


@webhooks.route("/<endpoint>")
class Endpoint(MethodView):
    """One endpoint."""

    @webhooks.operation("getWebhook", "webhooks:manage")
    @webhooks.response(200, schemas.EndpointSchema)
    @webhooks.problems(404)
    def get(self, endpoint: str) -> Any:
        """Read a webhook endpoint, without its secret"""
        return endpoints.find(endpoint)

    @webhooks.operation("changeWebhook", "webhooks:manage", "Idempotency-Key")
    @webhooks.arguments(schemas.EndpointPatchSchema, content_type=MERGE_PATCH)
    @webhooks.response(200, schemas.SecretEndpointSchema)
    @webhooks.problems(404, 409)
    def patch(self, changes: dict[str, Any], endpoint: str) -> Any:
        """Change, enable, disable or rotate a webhook endpoint"""
        endpoints.find(endpoint)
        return endpoints.save({**changes, "id": endpoint}, changes)

    @webhooks.operation("deleteWebhook", "webhooks:manage")
    @webhooks.response(204)
    @webhooks.problems(404)
    def delete(self, endpoint: str) -> None:
        """Delete a webhook endpoint"""
        run("endpoint.delete", {"id": endpoint}, body={})


@webhooks.route("/<endpoint>/test")
class Test(MethodView):
    """A test of one endpoint."""

    @webhooks.operation("testWebhook", "webhooks:manage")
    @webhooks.response(202, schemas.TestSchema)
    @webhooks.problems(404, 409, 422)
    def post(self, endpoint: str) -> Any:
        """Send a webhook.test event to an endpoint; its delivery shows what came of it"""
        return run("endpoint.test", {"id": endpoint}, body={}).result


@webhooks.route("/<endpoint>/deliveries")
class Deliveries(MethodView):
    """The deliveries of one endpoint."""

    @webhooks.operation("listDeliveries", "webhooks:manage")
    @webhooks.arguments(schemas.DeliveryQuery, location="query")
    @webhooks.response(200, page_of(schemas.DeliverySchema))
    @webhooks.problems(404)
    def get(self, query: dict[str, Any], endpoint: str) -> dict[str, Any]:
        """List the deliveries of an endpoint, the newest first"""
        endpoints.find(endpoint)
        page = door().views.delivery.deliveries(
            caller().organization, endpoint, state=query["state"], after=paging.after(query["page_token"], str),
            limit=query["page_size"],
        )  # fmt: skip
        return paging.envelope(page)


@webhooks.route("/<endpoint>/replay")
class ReplayRange(MethodView):
    """Many deliveries again."""

    @webhooks.operation("replayDeliveries", "webhooks:manage")
    @webhooks.arguments(schemas.ReplaySchema)
    @webhooks.response(200, schemas.ReplayedSchema)
    @webhooks.problems(404, 409)
    def post(self, body: dict[str, Any], endpoint: str) -> Any:
        """Send the deliveries of a range of time again (by default the dead ones)"""
        times: dict[str, int] = {
            name: int(body[name].timestamp() * 1000) for name in ("since", "until") if name in body
        }
        payload: dict[str, Any] = {**body, **times, "endpoint": endpoint}
        return run("delivery.replay", payload, body=payload).result


@webhooks.route("/deliveries/<delivery>/replay")
class Replay(MethodView):
    """One delivery again."""

    @webhooks.operation("replayDelivery", "webhooks:manage")
    @webhooks.response(200, schemas.ReplayedSchema)
    @webhooks.problems(404, 409, 422)
    def post(self, delivery: str) -> Any:
        """Send one delivery again, under its old webhook-id"""
        return run("delivery.replay", {"delivery": delivery}, body={}).result
