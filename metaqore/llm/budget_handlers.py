"""Decides ``budget.set`` (inside the API call) and ``budget.release`` (asked for by the sweep)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from metaqore.audit.tags import Tag
from metaqore.errors import InvalidInput, NotFound
from metaqore.llm.budgets import MAX_AMOUNT, PERIODS, SCOPES, UNITS, Budget, SetBudget, Settle, window
from metaqore.messages import AuditNote, Outcome, Request, Verdict, Write


class Ended(msgspec.Struct, frozen=True):
    """A request that is over and still holds a part of a budget."""

    request_id: str
    #: True where its call may have been made, and paid for, without an answer being stored.
    is_lost: bool


class SetReads(Protocol):
    """Look-ups of what budgets are for, and of what they are held by."""

    def has_project(self, organization: str, project: str) -> bool:
        """Return whether the organization has this project."""

    def budget(self, organization: str, scope: str, subject: str, unit: str) -> Budget | None:
        """Return a budget, locked until the commit."""

    def ended(self, organization: str, limit: int) -> list[Ended]:
        """Return requests that are over and still hold a part of a budget."""


#: Most requests that one ``budget.release`` ends.
_AT_ONCE = 500


def set_budget(batch: Sequence[Request], reads: SetReads, now: int) -> list[Outcome]:
    """Set budgets; payload: scope, subject, unit, period, amount (None takes the budget away)."""
    return [_set_budget(request, reads, now) for request in batch]


def _set_budget(request: Request, reads: SetReads, now: int) -> Outcome:
    asked = request.payload
    scope, subject, unit, period = asked["scope"], asked["subject"], asked["unit"], asked["period"]
    amount: int | None = asked["amount"]
    for name, value, allowed in (("scope", scope, SCOPES), ("unit", unit, UNITS), ("period", period, PERIODS)):
        if value not in allowed:
            raise InvalidInput(f"{name} {value!r}: choose from {', '.join(allowed)}")
    if amount is not None and not 0 <= amount <= MAX_AMOUNT:
        raise InvalidInput(f"amount: choose 0 to {MAX_AMOUNT}, or null for no budget")
    if (scope == "organization") != (subject == ""):
        raise InvalidInput("subject: name the project or principal; leave it empty for the organization")
    if scope == "project" and not reads.has_project(request.organization, subject):
        raise NotFound(f"project {subject} does not exist")
    old = reads.budget(request.organization, scope, subject, unit)
    start = window(period, now)
    keeps = old is not None and old.period == period and old.window_start >= start
    write = SetBudget(request.organization, scope, subject, unit, period, amount, start, request.principal, now)
    shown = {
        "scope": scope, "subject": subject, "unit": unit, "period": period, "amount": amount,
        "spent": old.spent if old is not None and keeps else 0, "reserved": old.reserved if old is not None else 0,
        "window_start": start, "set_by": request.principal, "set_at": now,
    }  # fmt: skip
    details = {"scope": scope, "subject": subject, "unit": unit, "period": period, "amount": str(amount)}
    named = f"{scope}:{subject}:{unit}"
    return Outcome(
        verdict=Verdict.APPROVED, result=shown, writes=[write],
        audit=[AuditNote(tag=Tag.BUDGET_CHANGED, subject=named, outcome="approved", details=details)],
    )  # fmt: skip


def release(batch: Sequence[Request], reads: SetReads, now: int) -> list[Outcome]:
    """Give back what requests hold that are over without having settled it.

    A call that may have been made is counted in full: a budget is a promise not to spend more.
    """
    return [_release(request, reads, now) for request in batch]


def _release(request: Request, reads: SetReads, now: int) -> Outcome:
    found = reads.ended(request.organization, _AT_ONCE)
    writes: list[Write] = [
        Settle(one.request_id, request.organization, None if one.is_lost else dict.fromkeys(UNITS, 0), now)
        for one in found
    ]
    audit = [AuditNote(tag=Tag.CALL_LOST, subject=one.request_id, outcome="counted") for one in found if one.is_lost]
    return Outcome(verdict=Verdict.APPROVED, result={"released": len(found)}, writes=writes, audit=audit)
