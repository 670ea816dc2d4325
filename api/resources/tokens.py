"""Delegated tokens: a part of one's own authority, for one project or task, for an hour at most."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView

from api import paging
from api.blueprint import Blueprint
from api.door import caller, door
from api.new_key import new_token
from api.schemas import security as schemas
from api.schemas.strict import PageQuery, page_of
from api.submit import run

blp = Blueprint("tokens", __name__, url_prefix="/api/v1/tokens", description="Authority handed on for a while")


@blp.route("")
class Tokens(MethodView):
    """The tokens that the caller made, or all of them for those who look after keys."""

    @blp.operation("listTokens", "tokens:delegate")
    @blp.arguments(PageQuery, location="query")
    @blp.response(200, page_of(schemas.TokenSchema))
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List delegated tokens"""
        delegator = None if caller().may("keys:manage") else caller().name
        page = door().views.security.tokens(
            caller().organization, delegator=delegator, after=paging.after(query["page_token"], str),
            limit=query["page_size"],
        )  # fmt: skip
        return paging.envelope(page)

    @blp.operation("createToken", "tokens:delegate", "Idempotency-Key")
    @blp.arguments(schemas.NewTokenSchema)
    @blp.response(201, schemas.CreatedTokenSchema)
    @blp.problems(403, 404)
    def post(self, body: dict[str, Any]) -> Any:
        """Hand a part of one's own authority to an agent"""
        return new_token(body)


@blp.route("/<token>")
class Token(MethodView):
    """One token."""

    @blp.operation("revokeToken", "tokens:delegate")
    @blp.response(204)
    @blp.problems(404)
    def delete(self, token: str) -> None:
        """Revoke a delegated token; it stops working within a second"""
        run("token.revoke", {"id": token, "any": caller().may("keys:manage")}, body={})
