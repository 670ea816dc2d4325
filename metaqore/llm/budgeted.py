"""Keeps model calls within their budgets: what a call may take is held in the transaction that lets it leave, and
settled in the one that stores its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from metaqore.audit.tags import Tag
from metaqore.llm.answers import Call
from metaqore.llm.budgets import UNITS, Book, Budget, Exceeded, Price, Settle
from metaqore.llm.effects import NewCall, SettleCall
from metaqore.messages import AuditNote, Outcome, Prepared, Request, Verdict

#: (provider, model) → price; a model that is not in it is unknown.
Prices = Mapping[tuple[str, str], Price]


class BudgetReads(Protocol):
    """Look-ups of budgets."""

    def budgets(self, batch: Sequence[tuple[str, str | None, str]]) -> list[Budget]:
        """Return, and lock until the commit, every budget of (organization, project, principal)."""

    def holding(self, request_ids: Sequence[str]) -> set[str]:
        """Return which of these requests hold a part of a budget."""


class Work(Protocol):
    """The gateway. See ``metaqore.llm.handlers.Handlers``."""

    def study(self, request: Request) -> Any:
        """Parse, assemble and classify."""

    def prepare(self, batch: Sequence[Request], reads: Any, now: int) -> list[Outcome | Prepared]:
        """Decide each call."""

    def perform(self, batch: Sequence[tuple[Request, Any]]) -> list[Outcome]:
        """Call the providers."""


class Budgeted:
    """The gateway within budgets."""

    def __init__(self, work: Work, prices: Prices) -> None:
        self._work = work
        self._prices = prices

    def study(self, request: Request) -> Any:
        """See ``Work``."""
        return self._work.study(request)

    def prepare(self, batch: Sequence[Request], reads: Any, now: int) -> list[Outcome | Prepared]:
        """Decide each call, and hold what it may take; a call that its budget does not reach for does not leave."""
        answers = self._work.prepare(batch, reads, now)
        leaving = [r for r, answer in zip(batch, answers, strict=True) if isinstance(answer, Prepared)]
        if not leaving:
            return answers
        lookups: BudgetReads = reads
        budgets = lookups.budgets([(r.organization, r.project, r.principal) for r in leaving])
        if not budgets:
            return answers
        book, holding = Book(budgets, now), lookups.holding([r.id for r in leaving])
        return [
            self._held(request, answer, book) if isinstance(answer, Prepared) and request.id not in holding else answer
            for request, answer in zip(batch, answers, strict=True)
        ]

    def _held(self, request: Request, prepared: Prepared, book: Book) -> Outcome | Prepared:
        if not any(isinstance(write, NewCall) for write in prepared.writes):
            # It left before there was a budget.
            return prepared
        call: Call = prepared.work
        price = self._price(call)
        if price is None and "money" in book.units(request.organization, request.project, request.principal):
            model = f"{call.command.provider}/{call.command.model}"
            return _over(prepared, [f"{model} has no price, and money is budgeted: add it to providers.yaml"], [])
        most = call.command.max_tokens
        prompt = max(0, call.waiting.tokens - most)
        cost = {"calls": 1, "tokens": prompt + most, "money": price.of(prompt, most) if price is not None else 0}
        answer = book.reserve(request.id, request.organization, request.project, request.principal, cost)
        short = [one for one in answer if isinstance(one, Exceeded)]
        if short:
            return _over(prepared, [one.reason for one in short], [one.shown() for one in short])
        prepared.writes = [*prepared.writes, *(one for one in answer if not isinstance(one, Exceeded))]
        return prepared

    def perform(self, batch: Sequence[tuple[Request, Any]]) -> list[Outcome]:
        """Call the providers; whatever ends there is settled with its answer."""
        outcomes = self._work.perform(batch)
        for (request, call), outcome in zip(batch, outcomes, strict=True):
            for write in outcome.writes:
                if isinstance(write, SettleCall):
                    # What may have been made is counted in full.
                    used = None if write.may_have_run else self._used(call, write)
                    outcome.writes = [*outcome.writes, Settle(request.id, request.organization, used, write.at)]
                    break
        return outcomes

    def _used(self, call: Call, settled: SettleCall) -> dict[str, int]:
        """Return what a call took: nothing where the provider refused it."""
        if settled.state == "failed":
            return dict.fromkeys(UNITS, 0)
        price = self._price(call)
        prompt, completion, cached = settled.prompt_tokens, settled.completion_tokens, settled.cached_tokens
        money = price.of(prompt, completion, cached) if price is not None else 0
        return {"calls": 1, "tokens": prompt + completion, "money": money}

    def _price(self, call: Call) -> Price | None:
        return self._prices.get((call.command.provider or "", call.command.model or ""))


def _over(prepared: Prepared, reasons: list[str], budgets: list[dict[str, Any]]) -> Outcome:
    """Return the outcome of a call that may not leave: its decision is recorded, the call is not."""
    call: Call = prepared.work
    note = AuditNote(tag=Tag.BUDGET_EXCEEDED, subject=call.waiting.request_id, outcome="blocked", details={
        "budgets": " ".join(f"{b['scope']}:{b['subject']}:{b['unit']}" for b in budgets)})  # fmt: skip
    return Outcome(
        verdict=Verdict.BLOCKED,
        result={"reasons": reasons, "budgets": budgets, "decision": call.decision},
        writes=[write for write in prepared.writes if not isinstance(write, NewCall)],
        audit=[*(audit for audit in prepared.audit if audit.tag != Tag.CALL_PREPARED), note],
    )
