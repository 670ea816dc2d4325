"""Announced intents, and what all artifacts of a project require together."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from api import paging
from api.blueprint import Blueprint
from api.door import caller, door
from api.moments import moment_of
from api.resources.psmp.projects import project_of
from api.schemas import psmp_intents as schemas
from api.schemas.moments import AsOfQuery, PastPageQuery
from api.schemas.requests import PromiseSchema, RequestSchema
from api.schemas.strict import page_of
from api.submit import submit
from metaqore.clock import now_ms
from metaqore.errors import NotFound
from metaqore.psmp.checkpoints import Place
from metaqore.psmp.holdings import holding_states
from metaqore.psmp.intents import OVERRIDE

blp = Blueprint("intents", __name__, url_prefix="/api/v1/projects", description="What agents are about to do")


@blp.route("/<project>/intents")
class Intents(MethodView):
    """All intents of a project."""

    @blp.operation("listIntents", "artifacts:read")
    @blp.arguments(schemas.IntentQuery, location="query")
    @blp.response(200, page_of(schemas.IntentSchema))
    @blp.problems(404)
    def get(self, query: dict[str, Any], project: str) -> dict[str, Any]:
        """List the intents of a project, the open ones where no state is named"""
        who, then = project_of(project)["organization"], moment_of(project, query["as_of"])
        page = door().views.holdings.intents(
            who, project, state=query["state"], after=paging.after(query["page_token"], str), limit=query["page_size"],
            **_at(then),
        )  # fmt: skip
        return paging.envelope(page)

    @blp.operation("announceIntent", "artifacts:write", "Prefer", "Idempotency-Key")
    @blp.arguments(schemas.AnnounceSchema)
    @blp.whole_response(202, PromiseSchema)
    @blp.alt_response(200, schema=RequestSchema, success=True)
    @blp.problems(404)
    def post(self, body: dict[str, Any], project: str) -> Response:
        """Announce what you are going to read and write; the verdict warns of whom you will clash with"""
        door().projects.check(caller().organization, project)
        return submit("intent.announce", project, schemas.announced(body))


@blp.route("/<project>/intents/<intent>")
class Intent(MethodView):
    """One intent."""

    @blp.operation("getIntent", "artifacts:read")
    @blp.arguments(AsOfQuery, location="query")
    @blp.response(200, schemas.IntentSchema)
    @blp.problems(404)
    def get(self, query: dict[str, Any], project: str, intent: str) -> Any:
        """Read an intent, now or as of a moment"""
        return intent_of(project, intent, moment_of(project, query["as_of"]))

    @blp.operation("withdrawIntent", "artifacts:write", "Prefer", "Idempotency-Key")
    @blp.whole_response(202, PromiseSchema)
    @blp.alt_response(200, schema=RequestSchema, success=True)
    @blp.problems(404)
    def delete(self, project: str, intent: str) -> Response:
        """Withdraw an intent: it binds nobody any more; somebody else's only with the scope conflicts:override"""
        intent_of(project, intent)
        authority = [OVERRIDE] if caller().may(OVERRIDE) else []
        return submit("intent.withdraw", project, {"intent": intent, "authority": authority}, body={})


def _at(then: Place | None) -> dict[str, Any]:
    return {"now": now_ms()} if then is None else {"now": then.at, "at": then.position}


def intent_of(project: str, intent: str, then: Place | None = None) -> Any:
    """Return an intent's row, now or as of a moment.

    Raises:
        NotFound: there is none in this project of the caller's organization.
    """
    row = door().views.holdings.intent(caller().organization, intent, **_at(then))
    if row is None or row["project"] != project:
        raise NotFound(f"intent {intent} does not exist")
    return row


@blp.route("/<project>/manifest")
class Manifest(MethodView):
    """What all artifacts of a project require together."""

    @blp.operation("getManifest", "artifacts:read")
    @blp.arguments(PastPageQuery, location="query")
    @blp.response(200, page_of(schemas.ManifestEntrySchema))
    @blp.problems(404)
    def get(self, query: dict[str, Any], project: str) -> dict[str, Any]:
        """Read what all artifacts together ask of each package, and a version that satisfies all"""
        project_of(project)
        then, after, limit = (
            moment_of(project, query["as_of"]),
            paging.after(query["page_token"], str),
            query["page_size"],
        )
        views = door().views.holdings
        if then is None:
            return paging.envelope(views.manifest(project, after=after, limit=limit))
        states = holding_states(door().engine.psmp)
        return paging.envelope(views.manifest_at(project, then.position, states=states, after=after, limit=limit))
