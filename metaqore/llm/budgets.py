"""Budgets of calls, tokens and money: what may be spent, what is held for calls on their way. Pure.

Reserve → settle → refund: a call is counted at its most before it leaves, at what it took when it is answered, and not
at all where it was refused. Amounts are whole numbers; money is in millionths of the currency of the price list.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec

from metaqore.clock import to_rfc3339
from metaqore.messages import Write

Scope = Literal["organization", "project", "principal"]
Unit = Literal["calls", "tokens", "money"]
Period = Literal["total", "day", "month"]
SCOPES: tuple[Scope, ...] = ("organization", "project", "principal")
UNITS: tuple[Unit, ...] = ("calls", "tokens", "money")
PERIODS: tuple[Period, ...] = ("total", "day", "month")
#: Largest amount: what JSON readers can hold exactly.
MAX_AMOUNT = 2**53 - 1

Rate = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model costs, in the currency of the price list for a million tokens."""

    input: Rate
    output: Rate
    #: Of input tokens that the provider had in its cache; None: as the others.
    cached: Rate | None = None

    def of(self, prompt: int, completion: int, cached: int = 0) -> int:
        """Return the price of a call in millionths, rounded up."""
        reused = self.input if self.cached is None else self.cached
        return math.ceil((prompt - cached) * self.input + cached * reused + completion * self.output)


class Budget(msgspec.Struct):
    """A budget as it stands. ``spent`` counts from ``window_start`` (ms) on."""

    organization: str
    scope: str
    subject: str
    unit: str
    period: str
    amount: int
    spent: int
    reserved: int
    window_start: int


class Reserve(Write, frozen=True):
    """Effect: a call holds a part of a budget. ``window`` is the start of the budget's present period."""

    request_id: str
    organization: str
    scope: str
    subject: str
    unit: str
    amount: int
    window: int
    at: int


class Settle(Write, frozen=True):
    """Effect: a request holds nothing any more, and has used ``used`` (unit → amount; all that it held, where None)."""

    request_id: str
    organization: str
    used: Mapping[str, int] | None
    at: int


class SetBudget(Write, frozen=True):
    """Effect: a budget is set; what was spent in its period stays. ``amount`` None takes it away."""

    organization: str
    scope: str
    subject: str
    unit: str
    period: str
    amount: int | None
    window: int
    set_by: str
    at: int


def window(period: str, now: int) -> int:
    """Return when the present period began, in milliseconds since the epoch; 0 for the whole of time."""
    if period == "total":
        return 0
    day = datetime.fromtimestamp(now / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = day.replace(day=1) if period == "month" else day
    return int(first.timestamp() * 1000)


def subjects(project: str | None, principal: str) -> list[tuple[str, str]]:
    """Return (scope, subject) of every budget that a call counts against.

    A delegated token (``owner/agent``) counts for its owner too.
    """
    owner = principal.partition("/")[0]
    found = [("organization", ""), ("principal", principal)]
    if owner != principal:
        found.append(("principal", owner))
    return [*found, ("project", project)] if project is not None else found


class Exceeded(msgspec.Struct, frozen=True):
    """A budget that does not reach for a call."""

    budget: Budget
    wanted: int

    @property
    def reason(self) -> str:
        """What is used up, and what to do."""
        b = self.budget
        whose = f"{b.scope} {b.subject}".strip()
        period = "in all" if b.period == "total" else f"this {b.period}"
        return (
            f"the budget of {whose} is {b.amount} {b.unit} {period}: {b.spent} are spent, {b.reserved} are held by "
            f"calls on their way, {self.wanted} are needed. Raise it, or ask for less (max_tokens)"
        )

    def shown(self) -> dict[str, Any]:
        """Return what the caller is told."""
        b = self.budget
        return {
            "scope": b.scope, "subject": b.subject, "unit": b.unit, "period": b.period, "amount": b.amount,
            "spent": b.spent, "reserved": b.reserved, "wanted": self.wanted, "since": to_rfc3339(b.window_start),
        }  # fmt: skip


class Book:
    """The budgets of one batch; what is reserved in it counts for what comes after.

    Args:
        budgets: every budget that the batch may touch, locked until the commit.
    """

    def __init__(self, budgets: Iterable[Budget], now: int) -> None:
        self._now = now
        self._budgets: dict[tuple[str, str, str], list[Budget]] = {}
        for budget in budgets:
            start = window(budget.period, now)
            if budget.window_start < start:
                budget.spent, budget.window_start = 0, start
            self._budgets.setdefault((budget.organization, budget.scope, budget.subject), []).append(budget)

    def units(self, organization: str, project: str | None, principal: str) -> set[str]:
        """Return in which units a call would be counted."""
        return {budget.unit for budget in self._of(organization, project, principal)}

    def reserve(
        self, request_id: str, organization: str, project: str | None, principal: str, cost: Mapping[str, int]
    ) -> list[Reserve] | list[Exceeded]:
        """Hold ``cost`` (unit → amount) in every budget that counts; or say which do not reach, and hold nothing."""
        held = [(budget, cost[budget.unit]) for budget in self._of(organization, project, principal)]
        short = [Exceeded(b, wanted) for b, wanted in held if b.spent + b.reserved + wanted > b.amount]
        if short:
            return short
        for budget, wanted in held:
            budget.reserved += wanted
        return [
            Reserve(request_id, organization, b.scope, b.subject, b.unit, wanted, b.window_start, self._now)
            for b, wanted in held
        ]

    def _of(self, organization: str, project: str | None, principal: str) -> Sequence[Budget]:
        if not self._budgets:
            return ()
        wanted = subjects(project, principal)
        return [b for scope, subject in wanted for b in self._budgets.get((organization, scope, subject), ())]
