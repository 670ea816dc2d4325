"""API keys: made (the secret is shown once), listed, revoked."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView

from api import paging
from api.blueprint import Blueprint
from api.door import caller, door
from api.new_key import new_key, rotate
from api.schemas import security as schemas
from api.schemas.strict import PageQuery, page_of
from api.submit import run

blp = Blueprint("keys", __name__, url_prefix="/api/v1/keys", description="Who may do what")


@blp.route("")
class Keys(MethodView):
    """All keys."""

    @blp.operation("listKeys", "keys:manage")
    @blp.arguments(PageQuery, location="query")
    @blp.response(200, page_of(schemas.KeySchema))
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List API keys, without secrets"""
        after = paging.after(query["page_token"], str)
        return paging.envelope(door().views.security.keys(caller().organization, after=after, limit=query["page_size"]))

    @blp.operation("createKey", "keys:manage", "Idempotency-Key")
    @blp.arguments(schemas.NewKeySchema)
    @blp.response(201, schemas.CreatedKeySchema)
    @blp.problems(403)
    def post(self, body: dict[str, Any]) -> Any:
        """Create an API key; its secret is in this answer and nowhere else"""
        return new_key(body)


@blp.route("/<key_id>")
class Key(MethodView):
    """One key."""

    @blp.operation("revokeKey", "keys:manage")
    @blp.response(204)
    @blp.problems(404)
    def delete(self, key_id: str) -> None:
        """Revoke an API key; it stops working within a second"""
        run("key.revoke", {"id": key_id}, body={})


@blp.route("/<key_id>/rotate")
class Rotation(MethodView):
    """A new secret for a key."""

    @blp.operation("rotateKey", "keys:manage", "Idempotency-Key")
    @blp.arguments(schemas.RotateKeySchema)
    @blp.response(200, schemas.RotatedKeySchema)
    @blp.problems(403, 404, 409)
    def post(self, body: dict[str, Any], key_id: str) -> Any:
        """Rotate an API key; the secret that it had works on for overlap_s"""
        return rotate(key_id, body)
