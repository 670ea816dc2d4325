"""The checker itself: a true history is clean, and each kind of lie in it is found under its name.

What was promised is made by the real engine, in this process; then history or database are forged, one thing at a time.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from metaqore.store.engine import Database
from tests.chaos.checker import Findings, check
from tests.chaos.clients import Agent, Operation
from tests.in_process import InProcess


class Told(NamedTuple):
    """A database at rest, what the agents remember of it, and the requests that workers took."""

    file: Path
    agents: list[Agent]
    taken: list[str]


def _asked(mq: InProcess, agent: Agent, key: str, path: str, body: dict[str, Any], at: float) -> str:
    """Ask for one thing and remember the promise; return the request."""
    answer = mq.post(path, body, headers={"Idempotency-Key": key})
    assert answer.status == 202, answer.body
    request = str(answer.json["id"])
    in_order = agent.role == "declare"
    agent.history.append(Operation(key, path, body, in_order, "ok", [request], invoked_at=at, ended_at=at + 1))
    agent.ids_seen[key] = {(request,)}
    return request


@pytest.fixture(scope="module")
def told(data_folder: Path) -> Iterator[Told]:
    mq = InProcess(data_folder)
    project = mq.project()
    declares, generates, cancels = agents = [
        Agent(n, role, "", "", project, 0.0) for n, role in enumerate(("declare", "generate", "cancel"))
    ]
    body: dict[str, Any] = {"project": project, "type": "doc", "name": "a"}
    _asked(mq, declares, "a-1", "/artifacts", {**body, "content": "1"}, 1.0)
    _asked(mq, declares, "a-2", "/artifacts", {**body, "content": "2", "base_version": 1}, 3.0)
    _asked(mq, generates, "g-1", "/llm/generate", {"prompt": "Say g", "provider": "mock"}, 1.0)
    mq.drain()
    dropped = _asked(mq, cancels, "c-1", "/artifacts", {**body, "name": "c", "content": "1"}, 5.0)
    assert mq.post(f"/requests/{dropped}/cancel").status == 200
    cancels.cancelled.add(dropped)
    database = Database(mq.settings.dsn)
    with database.read() as connection:
        ends = connection.exec_driver_sql("SELECT id, state FROM requests").fetchall()
    for agent in agents:
        mine = {request for operation in agent.history for request in operation.requests}
        agent.ends_seen = {request: {state} for request, state in ends if request in mine}
    with database.read() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    yield Told(data_folder / "metaqore.db", agents, [operation.requests[0] for operation in declares.history])
    mq.close()


def _copied(agent: Agent) -> Agent:
    """Return an agent with a memory of its own."""
    memory = {name: copy.deepcopy(getattr(agent, name)) for name in ("history", "ids_seen", "ends_seen", "cancelled")}
    return replace(agent, **memory)


class Forger:
    """A copy of what is told, to be changed."""

    def __init__(self, told: Told, folder: Path) -> None:
        shutil.copyfile(told.file, folder / "forged.db")
        self.database = Database(f"sqlite:///{folder / 'forged.db'}")
        self.declares, self.generates, self.cancels = self.agents = [_copied(agent) for agent in told.agents]
        self.taken = told.taken

    def sql(self, statement: str, *values: Any) -> None:
        """Change rows; there must be some."""
        with self.database.write() as connection:
            connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
            assert connection.exec_driver_sql(statement, values).rowcount > 0, statement

    def found(self) -> Findings:
        """Return what the checker says."""
        try:
            return check(self.database, self.agents, self.taken)
        finally:
            self.database.close()

    def request(self, number: int) -> str:
        """Return one of the two declarations."""
        return self.declares.history[number].requests[0]


def _twice(forger: Forger, table: str, **changed: str) -> None:
    """Write a row of the first declaration a second time, under other numbers."""
    columns = [row[1] for row in _rows(forger, f"PRAGMA table_info({table})")]
    values = ", ".join(changed.get(column, column) for column in columns)
    forger.sql(
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} WHERE request_id = ? LIMIT 1",
        forger.request(0),
    )


def _rows(forger: Forger, sql: str) -> list[Any]:
    with forger.database.read() as connection:
        return list(connection.exec_driver_sql(sql).fetchall())


def _state(forger: Forger, state: str) -> None:
    forger.sql("UPDATE requests SET state = ? WHERE id = ?", state, forger.request(0))


def _swap(forger: Forger) -> None:
    """The first one was only asked for when the second one's promise had been heard."""
    first, second = forger.declares.history
    first.invoked_at, first.ended_at, second.invoked_at, second.ended_at = 3.0, 4.0, 1.0, 2.0


_DECIDING = "tag = 'psmp:artifact:admitted' AND request_id = ?"
#: What was forged → (what the checker calls it, how).
FORGERIES: dict[str, tuple[str, Callable[[Forger], Any]]] = {
    "a promise that is still open": ("lost", lambda f: _state(f, "accepted")),
    "a promise that is in no database": ("lost", lambda f: f.declares.history[0].requests.append("req_gone")),
    "a request that nobody asked for": ("unexpected", lambda f: f.declares.history.pop()),
    "a request of no key": ("unexpected", lambda f: f.sql("DELETE FROM idempotency WHERE key = 'a-1'")),
    "a version twice": (
        "duplicated_effects",
        lambda f: _twice(f, "artifact_versions", version="3", seq="seq + 1000"),
    ),
    "an event twice": ("duplicated_effects", lambda f: _twice(f, "events", seq="seq + 1000", id="id || 'x'")),
    "a decision twice": ("duplicated_effects", lambda f: f.sql(
        "UPDATE audit_entries SET request_id = ? WHERE tag = 'psmp:artifact:admitted'", f.request(0))),
    "two ids under one key": ("duplicated_ids", lambda f: f.declares.ids_seen["a-1"].add(("req_other",))),
    "a blocked version of one author": (
        "order_violations", lambda f: f.sql("UPDATE requests SET verdict = 'blocked' WHERE id = ?", f.request(1))),
    "one decided before what had been promised earlier": ("order_violations", _swap),
    "a version number left out": (
        "version_gaps", lambda f: f.sql("UPDATE artifact_versions SET version = 7 WHERE version = 2")),
    "an entry left out": ("audit_gaps", lambda f: f.sql("DELETE FROM audit_entries WHERE seq = 2")),
    "an event left out": ("event_gaps", lambda f: f.sql("DELETE FROM events WHERE seq = 1")),
    "a decision without an entry": (
        "missing_records", lambda f: f.sql(f"DELETE FROM audit_entries WHERE {_DECIDING}", f.request(0))),
    "an approval without a version": (
        "missing_records", lambda f: f.sql("DELETE FROM artifact_versions WHERE request_id = ?", f.request(0))),
    "an answer without a call": ("missing_records", lambda f: f.sql("DELETE FROM llm_calls")),
    "a decision that nobody was told of": (
        "missing_records", lambda f: f.sql("DELETE FROM events WHERE request_id = ?", f.request(0))),
    "a request that was never recorded as accepted": ("missing_records", lambda f: f.sql(
        "DELETE FROM audit_entries WHERE tag = 'requests:request:accepted' AND request_id = ?", f.request(0))),
    "an end that was another one before": (
        "changed_ends", lambda f: f.declares.ends_seen[f.request(0)].add("cancelled")),
    "a cancelled request that was done": ("broken_cancels", lambda f: f.cancels.cancelled.add(f.request(0))),
    "a cancelled request with an effect": (
        "broken_cancels", lambda f: f.sql("UPDATE requests SET state = 'cancelled' WHERE id = ?", f.request(0))),
    "a request that was given up": ("dead", lambda f: _state(f, "dead")),
    "a request that was refused": ("refused", lambda f: setattr(f.declares.history[0], "outcome", "fail 500")),
}  # fmt: skip


def test_a_true_history_is_clean(told: Told, tmp_path: Path) -> None:
    found = Forger(told, tmp_path).found()

    assert found.is_clean, found
    assert (found.acknowledged, found.cancelled, found.requests) == (4, 1, 4)


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_history_is_found_out(told: Told, tmp_path: Path, name: str) -> None:
    what, forge = FORGERIES[name]
    forger = Forger(told, tmp_path)
    forge(forger)

    found = forger.found()

    assert asdict(found)[what] > 0, found
    assert not found.is_clean


def test_everything_that_must_be_zero_has_a_forgery() -> None:
    names = list(Findings.__dataclass_fields__)

    assert {what for what, _ in FORGERIES.values()} == set(names[: names.index("refused") + 1])
