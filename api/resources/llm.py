"""Model calls through the gateway."""

from __future__ import annotations

from flask import Response
from flask.views import MethodView

from api.blueprint import Blueprint
from api.bounds import check_inputs
from api.door import caller, door
from api.schemas import accept
from api.schemas.llm import GenerateSchema
from api.schemas.requests import PromiseSchema, RequestSchema
from api.strict_json import MAX_NODES
from api.submit import submit

blp = Blueprint("llm", __name__, url_prefix="/api/v1/llm", description="Model calls, governed")


@blp.route("/generate")
class Generate(MethodView):
    """One completion."""

    @blp.operation("generate", "llm:generate", "Prefer", "Idempotency-Key")
    @blp.hot_body(GenerateSchema, accept.generation, max_nodes=MAX_NODES)
    @blp.whole_response(202, PromiseSchema)
    @blp.alt_response(200, schema=RequestSchema, success=True)
    @blp.problems(403, 404, 422)
    def post(self, command: accept.Generation) -> Response:
        """Ask a model; SecureGateway decides first whether, and where the text may go

        The answer is judged before it is delivered. Where it says something that the prompt did not, `result.answer`
        has the decision: label, findings (never values; their places are those in the provider's text), obligations.
        What may not be delivered is a veto with that decision, and was paid for.
        """
        project, payload = command
        if project is not None:
            door().projects.check(caller().organization, project)
        check_inputs(payload.get("inputs") or (), caller())
        return submit("llm.generate", project, payload)
