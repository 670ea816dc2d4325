"""Budgets of model calls: what may be spent by an organization, a project, a principal."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView

from api import paging
from api.blueprint import Blueprint
from api.door import caller, door
from api.schemas import budgets as schemas
from api.schemas.strict import page_of
from api.submit import run

blp = Blueprint("budgets", __name__, url_prefix="/api/v1/budgets", description="What model calls may take")


@blp.route("")
class Budgets(MethodView):
    """All budgets."""

    @blp.operation("listBudgets", "budgets:read")
    @blp.arguments(schemas.BudgetQuery, location="query")
    @blp.response(200, page_of(schemas.BudgetSchema))
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List budgets, with what is spent, held and left"""
        page = door().views.budgets.budgets(
            caller().organization, scope=query["scope"], after=paging.after(query["page_token"], str),
            limit=query["page_size"],
        )  # fmt: skip
        return paging.envelope(page)

    @blp.operation("setBudget", "budgets:manage", "Idempotency-Key")
    @blp.arguments(schemas.SetBudgetSchema)
    @blp.response(200, schemas.BudgetSchema)
    @blp.problems(404)
    def put(self, body: dict[str, Any]) -> Any:
        """Set a budget, or take it away (amount null)"""
        return run("budget.set", body, body=body).result
