"""Nothing runs without a recorded decision: held for every kind of request that there is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest

from metaqore.messages import Outcome, Prepared, Request, Submission, Verdict
from metaqore.requests import long_work
from metaqore.requests.catalogue import Catalogue, Kind
from metaqore.requests.model import Vetoed
from metaqore.security import records
from metaqore.store.engine import Database
from tests.contract.pipeline import ORGANIZATION
from tests.contract.test_security_policy import Governed

pytestmark = pytest.mark.parametrize("dsn", ["sqlite"], indirect=True)


class Ran:
    """Takes the place of what decides, and notes what it was asked: the way to it is the real one."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def decide(self, batch: Sequence[Request], _reads: Any, _now: int) -> list[Outcome]:
        self.asked += [request.id for request in batch]
        return [Outcome(verdict=Verdict.APPROVED) for _ in batch]

    def prepare(self, batch: Sequence[Request], _reads: Any, _now: int) -> list[Outcome | Prepared]:
        self.asked += [request.id for request in batch]
        return [Prepared(work=None) for _ in batch]

    def perform(self, batch: Sequence[tuple[Request, Any]]) -> list[Outcome]:
        return [Outcome(verdict=Verdict.APPROVED) for _ in batch]


class Everything(Governed):
    """The whole engine, whose handlers only note that they were asked."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.ran = Ran()
        self.kinds = dict(self.engine.catalogue.all())
        self.executor.catalogue = Catalogue([self._noting(kind) for kind in self.kinds.values()])

    def _noting(self, kind: Kind) -> Kind:
        work: dict[str, Any] = {"decide": self.ran.decide} if kind.decide is not None else {"long": self.ran}
        return msgspec.structs.replace(kind, study=None, survey=None, **work)

    def ask(self, kind: Kind) -> str:
        """Ask for one, and return the id of the request."""
        asked = Submission(organization=ORGANIZATION, project=self.project, principal="bob", kind=kind.name, payload={})
        if kind.queue == "control":
            try:
                return self.executor.run_now(asked).request_id
            except Vetoed as vetoed:
                return str(
                    self.sql("SELECT request_id FROM decisions WHERE id = ?", vetoed.details["decision"]["id"])[0][0]
                )
        request = self.intake.submit([asked]).ids[0]
        self.executor.drain(kind.queue)
        long_work.drain(self.executor, kind.queue)
        return request


@pytest.fixture
def everything(database: Database) -> Iterator[Everything]:
    made = Everything(database)
    yield made
    made.engine.database.close()


def outcome_of(everything: Everything, request: str) -> tuple[Any, ...]:
    found: tuple[Any, ...] = tuple(everything.sql("SELECT state, verdict FROM requests WHERE id = ?", request)[0])
    return found


def test_every_kind_says_where_its_approvals_are_recorded(everything: Everything) -> None:
    unexplained = [kind.name for kind in everything.kinds.values() if not records.where(kind.name, kind.queue)]

    assert unexplained == []
    assert everything.kinds.keys() >= records.ALWAYS | records.DECISIONS
    assert len(everything.kinds) > 40


def test_whatever_is_let_through_leaves_its_verdict_and_an_audit_entry(everything: Everything) -> None:
    for kind in everything.kinds.values():
        request = everything.ask(kind)

        assert outcome_of(everything, request) == ("succeeded", "approved"), kind.name
        assert everything.ran.asked[-1] == request, kind.name
        tags = [row[0] for row in everything.sql("SELECT tag FROM audit_entries WHERE request_id = ?", request)]
        assert len(tags) == 2, (kind.name, tags)


def test_whatever_is_refused_runs_nothing_and_is_a_decision_with_its_audit_entry(everything: Everything) -> None:
    everything.executor.catalogue = everything.engine.catalogue
    everything.stop("principal", "bob")
    everything.executor.catalogue = Catalogue([everything._noting(kind) for kind in everything.kinds.values()])
    for kind in everything.kinds.values():
        asked = len(everything.ran.asked)
        request = everything.ask(kind)
        rows = everything.sql("SELECT id, verdict FROM decisions WHERE request_id = ?", request)
        if kind.name in records.ALWAYS:
            assert (outcome_of(everything, request), rows) == (("succeeded", "approved"), []), kind.name
            continue
        assert outcome_of(everything, request) == ("succeeded", "vetoed"), kind.name
        assert [row[1] for row in rows] == ["vetoed"], kind.name
        assert len(everything.ran.asked) == asked, kind.name
        noted = everything.sql(
            "SELECT body FROM audit_entries WHERE tag = 'security:decision:vetoed' AND request_id = ?", request
        )
        assert len(noted) == 1, kind.name
        assert rows[0][0] in bytes(noted[0][0]).decode(), kind.name


@pytest.mark.parametrize("mode", ["strict", "adaptive", "playground"])
def test_a_model_call_and_an_assessment_name_their_decision_in_any_mode(database: Database, mode: str) -> None:
    governed = Governed(database)
    project = str(governed.run("project.save", name="m", mode=mode).result["id"])
    prompt = "Which maintenance type is this? fix a bug"
    done = [
        governed.do("payload.assess", "ann", project, content="Paris."),
        governed.do("llm.generate", "ann", project, prompt=prompt),
        governed.do("llm.generate", "ann", project, prompt=prompt, provider="nowhere"),
    ]

    assert [row["verdict"] for row in done] == ["approved", "approved", "vetoed"]
    for row in done:
        decisions = [one[0] for one in governed.sql("SELECT id FROM decisions WHERE request_id = ?", row["id"])]
        assert decisions == [row["result"]["decision"]["id"]]
    governed.engine.database.close()
