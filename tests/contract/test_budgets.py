"""Budgets: exact for any number of writers, whatever breaks off in between, on both databases."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from metaqore.clock import now_ms
from metaqore.errors import Contention, InvalidInput, NotFound
from metaqore.llm.budgeted import Budgeted
from metaqore.llm.budgets import Book, Budget, Price, Settle, window
from metaqore.llm.model import ProviderRefused
from metaqore.requests import long_work
from metaqore.requests.schedules import Schedules
from metaqore.store.engine import Database
from metaqore.store.unit_of_work import SqlStore
from tests.contract.pipeline import ORGANIZATION, together
from tests.contract.test_security_policy import Governed


@pytest.fixture
def governed(database: Database) -> Iterator[Governed]:
    made = Governed(database)
    yield made
    made.engine.database.close()


def budget(governed: Governed, unit: str, amount: int | None, scope: str = "organization", **more: Any) -> Any:
    """Set a budget."""
    asked = {"scope": scope, "subject": "", "unit": unit, "period": "total", "amount": amount, **more}
    return governed.run("budget.set", **asked).result


def standing(governed: Governed, scope: str = "organization", unit: str = "calls") -> tuple[int, int]:
    """Return (spent, reserved)."""
    rows = governed.sql("SELECT spent, reserved FROM budgets WHERE scope = ? AND unit = ?", scope, unit)
    return rows[0][0], rows[0][1]


def ask(governed: Governed, principal: str = "ann", **more: Any) -> dict[str, Any]:
    """Make a model call."""
    return governed.do("llm.generate", principal, more.pop("project", None), **{"prompt": "Say hello", **more})


def test_a_call_is_counted_at_what_it_took(governed: Governed) -> None:
    for unit in ("calls", "tokens", "money"):
        budget(governed, unit, 10_000)

    usage = ask(governed)["result"]["usage"]

    assert standing(governed) == (1, 0)
    assert standing(governed, unit="tokens") == (usage["prompt_tokens"] + usage["completion_tokens"], 0)
    assert standing(governed, unit="money") == (0, 0), "a local model costs nothing"
    assert governed.sql("SELECT count(*) FROM reservations")[0][0] == 0


def test_a_call_that_its_budget_does_not_reach_for_is_blocked_with_the_reason(governed: Governed) -> None:
    budget(governed, "tokens", 300)
    assert ask(governed, max_tokens=200)["verdict"] == "approved"
    sent = governed.sql("SELECT count(*) FROM llm_calls")[0][0]

    row = ask(governed, max_tokens=299)

    assert (row["state"], row["verdict"]) == ("succeeded", "blocked")
    assert "the budget of organization is 300 tokens in all" in row["result"]["reasons"][0]
    assert row["result"]["budgets"][0]["unit"] == "tokens"
    assert governed.sql("SELECT count(*) FROM llm_calls")[0][0] == sent, "nothing has left"
    tags = [row[0] for row in governed.sql("SELECT tag FROM audit_entries ORDER BY seq DESC LIMIT 3")]
    assert "llm:budget:exceeded" in tags
    assert standing(governed, unit="tokens")[1] == 0


@pytest.mark.parametrize(("scope", "subject"), [("principal", "ann"), ("project", "{project}"), ("organization", "")])
def test_a_budget_holds_for_its_subject_and_for_no_other(governed: Governed, scope: str, subject: str) -> None:
    subject = subject.replace("{project}", governed.project)
    budget(governed, "calls", 0, scope, subject=subject)

    assert ask(governed, "ann", project=governed.project)["verdict"] == "blocked"
    assert ask(governed, "bob")["verdict"] == ("blocked" if scope == "organization" else "approved")


def test_a_delegated_token_spends_what_its_owner_may(governed: Governed) -> None:
    budget(governed, "calls", 1, "principal", subject="ann")

    assert [ask(governed, "ann/w1")["verdict"], ask(governed, "ann/w2")["verdict"]] == ["approved", "blocked"]


def test_what_is_taken_away_holds_nobody_up(governed: Governed) -> None:
    budget(governed, "calls", 0)
    budget(governed, "calls", None)

    assert ask(governed)["verdict"] == "approved"


def test_a_budget_that_makes_no_sense_is_refused(governed: Governed) -> None:
    for asked in ({"unit": "euros"}, {"period": "week"}, {"scope": "team"}, {"subject": "x"}, {"amount": -1}):
        with pytest.raises(InvalidInput):
            budget(governed, **{"unit": "calls", "amount": 1, "scope": "organization", **asked})
    with pytest.raises(NotFound):
        budget(governed, "calls", 1, "project", subject="prj_none")


class Provider:
    """A provider that does what the test says, in place of the real one."""

    def __init__(self, governed: Governed) -> None:
        kind = governed.executor.catalogue["llm.generate"].long
        assert isinstance(kind, Budgeted)
        self._gateway: Any = kind._work
        self._real = self._gateway._providers["mock"]
        self._gateway._providers = {"mock": self}
        self.name = "mock"
        self.before: Callable[[], Any] = lambda: None

    def complete(self, batch: Any, go_on: Any) -> list[Any]:
        answers: list[Any] = self.before()
        return answers or self._real.complete(batch, go_on)


def test_a_call_that_the_provider_refused_is_given_back(governed: Governed) -> None:
    budget(governed, "calls", 5)
    provider = Provider(governed)
    provider.before = lambda: [ProviderRefused("no", provider="mock", reason="bad")]

    assert ask(governed)["state"] == "failed"

    assert standing(governed) == (0, 0)


def swept(governed: Governed) -> None:
    """Fire the sweep, whatever fired before."""
    at = max(now_ms(), *(row[0] for row in governed.sql("SELECT coalesce(max(fire_at), 0) FROM schedule_fires")))
    governed.executor.clock = lambda: at + 60_000
    Schedules(governed.executor, governed.intake, governed.bell, idempotency_days=7).fire("sweep", 5)


def test_a_worker_that_dies_holds_its_budget_until_the_call_is_made_again_and_counts_it_once(
    governed: Governed, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget(governed, "calls", 5)
    request = governed.submit("llm.generate", prompt="Say hello")
    with monkeypatch.context() as patched:
        patched.setattr(governed.executor, "finish", lambda *_, **__: 0)
        long_work.drain(governed.executor, "llm")
    assert standing(governed) == (0, 1)
    swept(governed)
    assert standing(governed) == (0, 1), "it is not over"

    later = now_ms() + 600_000
    governed.executor.clock = lambda: later
    assert governed.finish(request)["verdict"] == "approved"

    assert standing(governed) == (1, 0)


def test_a_call_that_nobody_knows_the_end_of_is_counted_by_the_sweep(
    governed: Governed, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget(governed, "calls", 5)
    request = governed.submit("llm.generate", prompt="Say hello")
    with monkeypatch.context() as patched:
        patched.setattr(governed.executor, "finish", lambda *_, **__: 0)
        long_work.drain(governed.executor, "llm")
    governed.run("request.cancel", request=request)

    swept(governed)
    swept(governed)

    assert standing(governed) == (1, 0)
    assert governed.sql("SELECT count(*) FROM audit_entries WHERE tag = 'llm:call:lost'")[0][0] == 1


def test_a_request_that_ended_without_its_call_gets_everything_back_by_the_sweep(governed: Governed) -> None:
    budget(governed, "calls", 5)
    request = governed.submit("llm.generate", prompt="Say hello")
    governed.run("request.cancel", request=request)
    with governed.database.write() as connection:
        sql = "INSERT INTO reservations VALUES (?, 'organization', '', 'calls', ?, 1, 0)"
        connection.exec_driver_sql(governed.database.sql(sql), (request, ORGANIZATION))
        connection.exec_driver_sql("UPDATE budgets SET reserved = 1")

    swept(governed)

    assert standing(governed) == (0, 0)


def test_many_workers_never_let_more_calls_leave_than_the_budget_has(database: Database) -> None:
    workers = [Governed(database) for _ in range(4)]
    for worker in workers[1:]:
        worker.executor.owner = f"worker {id(worker)}"
    budget(workers[0], "calls", 7)
    requests = [workers[0].submit("llm.generate", prompt=f"Say hello {n}") for n in range(24)]

    for _ in range(10):
        together([lambda w=w: long_work.drain(w.executor, "llm") for w in workers])  # type: ignore[misc]
        states = [row[0] for row in workers[0].sql("SELECT state FROM requests WHERE kind = 'llm.generate'")]
        if set(states) == {"succeeded"}:
            break

    verdicts = [workers[0].finish(request)["verdict"] for request in requests]
    assert sorted(verdicts) == ["approved"] * 7 + ["blocked"] * 17
    assert standing(workers[0]) == (7, 0)
    for worker in workers:
        worker.engine.database.close()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_fifty_writers_never_exceed_any_limit(governed: Governed, database: Database, seed: int) -> None:
    store, chance = SqlStore(database), random.Random(seed)
    for unit, amount in (("tokens", 2000), ("calls", 40)):
        budget(governed, unit, amount)
        budget(governed, unit, amount // 3, "principal", subject="ann")
    jobs = [(f"req_{n}", chance.choice(["ann", "ann/w", "bob"]), chance.randint(1, 120), chance.random(),
             chance.choice(["settle", "refund", "hold"])) for n in range(50)]  # fmt: skip
    outcomes: dict[str, Any] = {}
    guard = threading.Lock()

    def write(request: str, principal: str, tokens: int, share: float, end: str) -> None:
        cost = {"tokens": tokens, "calls": 1}
        for _ in range(200):
            try:
                with store.write() as tx:
                    found = tx.reads("llm").budgets([(ORGANIZATION, None, principal)])
                    held = Book(found, 0).reserve(request, ORGANIZATION, None, principal, cost)
                    is_held = bool(held) and not hasattr(held[0], "wanted")
                    if is_held:
                        tx.apply(held)
                    check(tx.reads("llm").budgets([(ORGANIZATION, None, "ann"), (ORGANIZATION, None, "bob")]))
                break
            except Contention:
                continue
        used = {"tokens": int(tokens * share), "calls": 1} if end == "settle" else {"tokens": 0, "calls": 0}
        if is_held and end != "hold":
            with store.write() as tx:
                tx.apply([Settle(request, ORGANIZATION, used, 0)])
        with guard:
            outcomes[request] = (principal, used if end != "hold" else cost, end) if is_held else None

    def check(budgets: list[Budget]) -> None:
        for one in budgets:
            assert one.reserved >= 0 and one.spent >= 0 and one.spent + one.reserved <= one.amount

    answers = together([lambda job=job: write(*job) for job in jobs])  # type: ignore[misc]

    assert [answer for answer in answers if answer is not None] == []
    let = [one for one in outcomes.values() if one is not None]
    for scope, ours in (("organization", let), ("principal", [one for one in let if one[0].startswith("ann")])):
        for unit in ("tokens", "calls"):
            spent = sum(used[unit] for _, used, end in ours if end == "settle")
            held = sum(used[unit] for _, used, end in ours if end == "hold")
            assert standing(governed, scope, unit) == (spent, held)
    assert 0 < len(let) < 50


# --- the rules


def test_a_new_period_begins_anew() -> None:
    now = 1_795_305_600_000  # 2026-11-22T00:00:00Z
    assert window("day", now + 5) == now
    assert window("month", now) == now - 21 * 86_400_000
    assert window("total", now) == 0
    old = Budget("o", "organization", "", "calls", "day", 1, 1, 0, now - 86_400_000)

    held = Book([old], now + 1).reserve("r", "o", None, "ann", {"calls": 1})

    assert [(one.amount, one.window) for one in held] == [(1, now)]  # type: ignore[union-attr]


def test_money_is_counted_in_millionths_and_rounded_up() -> None:
    assert Price(0.15, 0.6).of(1000, 100) == 210
    assert Price(0.15, 0.6, cached=0.075).of(1000, 100, cached=1000) == 135
    assert Price(0.15, 0.6).of(1, 0) == 1


def test_a_call_without_a_price_does_not_leave_where_money_is_budgeted(governed: Governed) -> None:
    budget(governed, "money", 1_000_000)
    kind = governed.executor.catalogue["llm.generate"].long
    assert isinstance(kind, Budgeted)
    kind._prices = {}

    row = ask(governed)

    assert row["verdict"] == "blocked"
    assert "mock/mock-1 has no price" in row["result"]["reasons"][0]
