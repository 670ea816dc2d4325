"""Budgets, as they come in and go out."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from api.schemas.strict import Moment, PageQuery, choice
from metaqore.llm.budgets import MAX_AMOUNT, PERIODS, SCOPES, UNITS


class BudgetQuery(PageQuery):
    """Which budgets."""

    scope = choice(*SCOPES, load_default=None)


class SetBudgetSchema(Schema):
    """A budget. Setting it again keeps what was spent in its period."""

    scope = choice(*SCOPES, required=True)
    subject = fields.String(
        load_default="", validate=validate.Length(max=200),
        metadata={"description": "The project or the principal; empty for the organization"},
    )  # fmt: skip
    unit = choice(*UNITS, required=True, metadata={"description": "money is in millionths of its currency"})
    period = choice(*PERIODS, load_default="month", metadata={"description": "When it begins anew (UTC)"})
    amount = fields.Integer(
        required=True, allow_none=True, strict=True, validate=validate.Range(0, MAX_AMOUNT),
        metadata={"description": "Null takes the budget away"},
    )  # fmt: skip


class BudgetSchema(Schema):
    """A budget as it stands."""

    scope = fields.String(required=True)
    subject = fields.String(required=True)
    unit = fields.String(required=True)
    period = fields.String(required=True)
    amount = fields.Integer(allow_none=True)
    spent = fields.Integer(required=True)
    reserved = fields.Integer(required=True, metadata={"description": "Held by calls on their way"})
    left = fields.Integer()
    window_start = Moment(required=True, metadata={"description": "Since when spent counts; 1970: all of time"})
    set_by = fields.String(required=True)
    set_at = Moment(required=True)
