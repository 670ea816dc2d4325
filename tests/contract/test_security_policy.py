"""Custom policies and stops, through the door, on both databases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from metaqore import bootstrap
from metaqore.errors import Conflict, InvalidInput, NotFound, PreconditionFailed
from metaqore.messages import Submission
from metaqore.requests import long_work
from metaqore.requests.model import Ran, Vetoed
from metaqore.settings import load
from metaqore.store.engine import Database
from tests.contract.pipeline import ORGANIZATION, Bell, Results

DENY_BOB = {"id": "no-bob", "version": 2, "mode": "enforce", "when": 'request.principal == "bob"', "effect": "deny",
            "message": "Bob is on leave."}  # fmt: skip


class Governed:
    """The whole engine over one database: every kind, SecureGateway before all of them."""

    def __init__(self, database: Database) -> None:
        self.bell = Bell()
        settings = load({"storage_dsn": database.dsn, "redis_url": "redis://127.0.0.1:1/0"}, environ={})
        self.engine = bootstrap.build(settings, lambda _settings: self.bell)
        self.executor, self.intake, self.database = self.engine.executor, self.engine.intake, database
        self.executor.results = Results()
        self.project = str(self.run("project.save", name="p", mode="strict").result["id"])

    def submission(self, kind: str, principal: str, project: str | None, payload: dict[str, Any]) -> Submission:
        return Submission(
            organization=ORGANIZATION, project=project, principal=principal, kind=kind, payload=payload
        )  # fmt: skip

    def stop(self, kind: str, subject: str, reason: str = "it loops", **more: Any) -> Ran:
        """Stop somebody."""
        payload = {"kind": kind, "subject": subject, "reason": reason, **more}
        return self.executor.run_now(self.submission("stop.set", "admin", None, payload))

    def lift(self, kind: str, subject: str) -> Ran:
        """Lift a stop."""
        payload = {"kind": kind, "subject": subject}
        return self.executor.run_now(self.submission("stop.lift", "admin", None, payload))

    def run(self, kind: str, principal: str = "admin", /, **payload: Any) -> Ran:
        """Run a control-plane request."""
        return self.executor.run_now(self.submission(kind, principal, None, payload))

    def do(self, kind: str, principal: str = "ann", project: str | None = None, **payload: Any) -> dict[str, Any]:
        """Submit, decide and return the request's row, result decoded."""
        return self.finish(self.submit(kind, principal, project, **payload))

    def submit(self, kind: str, principal: str = "ann", project: str | None = None, **payload: Any) -> str:
        return self.intake.submit([self.submission(kind, principal, project, payload)]).ids[0]

    def finish(self, request: str) -> dict[str, Any]:
        for queue in ("psmp", "security", "llm"):
            self.executor.drain(queue)
            long_work.drain(self.executor, queue)
        with self.engine.store.read() as tx:
            row = dict(tx.reads("requests").request_row(ORGANIZATION, request) or {})
        row["result"] = json.loads(row["result"] or "{}")
        return row

    def sql(self, text: str, *values: Any) -> list[Any]:
        with self.database.read() as connection:
            return list(connection.exec_driver_sql(self.database.sql(text), values).fetchall())

    def save(self, *rules: dict[str, Any], project: str | None = None, **more: Any) -> Ran:
        """Save a policy."""
        document = {"rules": list(rules), **more}
        return self.run("policy.save", project=project, document=document, reason="because")


@pytest.fixture
def governed(database: Database) -> Iterator[Governed]:
    made = Governed(database)
    yield made
    made.engine.database.close()


def test_a_policy_holds_for_the_next_request_and_names_itself_in_the_decision(governed: Governed) -> None:
    before = governed.do("payload.assess", "bob", content="Paris.")
    saved = governed.save(DENY_BOB)

    after = governed.do("payload.assess", "bob", content="Paris.")

    assert (before["verdict"], after["verdict"]) == ("approved", "vetoed")
    assert after["result"]["decision"]["rules"] == ["no-bob@2"]
    assert after["result"]["decision"]["reasons"] == ["Bob is on leave."]
    assert governed.do("payload.assess", "ann", content="Paris.")["verdict"] == "approved"
    assert saved.result["version"] == 1
    noted = governed.sql("SELECT body FROM audit_entries WHERE tag = 'security:policy:changed'")
    assert saved.result["digest"] in bytes(noted[0][0]).decode()


def test_a_denial_for_what_a_request_is_holds_for_every_kind(governed: Governed) -> None:
    governed.save(DENY_BOB)

    declared = governed.do("artifact.declare", "bob", governed.project, type="doc", name="a", content="text")

    assert declared["verdict"] == "vetoed"
    assert governed.sql("SELECT count(*) FROM artifacts")[0][0] == 0
    assert governed.sql("SELECT verdict FROM decisions WHERE request_id = ?", declared["id"]) == [("vetoed",)]
    with pytest.raises(Vetoed, match="Bob is on leave"):
        governed.run("project.save", "bob", name="b")


def test_a_project_can_tighten_what_its_organization_says_and_never_loosen_it(governed: Governed) -> None:
    allow = {**DENY_BOB, "id": "all", "when": 'request.kind == "payload.assess"', "effect": "allow"}
    governed.save(DENY_BOB)
    governed.save(allow, project=governed.project)

    assert governed.do("payload.assess", "bob", governed.project, content="Paris.")["verdict"] == "vetoed"

    deny_ann = {**DENY_BOB, "id": "no-ann", "when": 'request.principal == "ann"'}
    governed.save(deny_ann, project=governed.project)
    assert governed.do("payload.assess", "ann", governed.project, content="Paris.")["verdict"] == "vetoed"
    assert governed.do("payload.assess", "ann", content="Paris.")["verdict"] == "approved"


def test_every_version_of_a_policy_is_kept_and_the_same_again_is_none(governed: Governed) -> None:
    governed.save(DENY_BOB)
    again = governed.save(DENY_BOB)
    governed.save()

    assert again.result["changed"] is False
    assert governed.sql("SELECT version FROM policies ORDER BY version") == [(1,), (2,)]
    assert governed.do("payload.assess", "bob", content="Paris.")["verdict"] == "approved"


def test_a_policy_with_a_mistake_is_refused_with_its_pointer(governed: Governed) -> None:
    with pytest.raises(InvalidInput, match="unknown fact 'principal'") as refused:
        governed.save({**DENY_BOB, "when": 'principal == "bob"'})

    assert refused.value.details["errors"][0]["pointer"] == "/document/rules/0/when"
    assert governed.sql("SELECT count(*) FROM policies")[0][0] == 0


def test_a_stale_version_of_a_policy_is_refused(governed: Governed) -> None:
    governed.save(DENY_BOB)

    with pytest.raises(PreconditionFailed, match="version 1"):
        governed.run("policy.save", project=None, document={}, version=0)


def test_a_stored_policy_that_cannot_be_used_any_more_denies_everything(governed: Governed) -> None:
    governed.save(DENY_BOB)
    with governed.database.write() as connection:
        connection.exec_driver_sql("UPDATE policies SET document = '{\"policy\": \"gone\"}', digest = 'sha256:0'")

    assert governed.do("payload.assess", "ann", content="Paris.")["verdict"] == "vetoed"


def test_a_stopped_principal_does_nothing_even_with_what_was_accepted_before(governed: Governed) -> None:
    waiting = governed.submit("artifact.declare", "bob", governed.project, type="doc", name="a", content="text")
    governed.stop("principal", "bob", "it loops")

    row = governed.finish(waiting)

    assert row["verdict"] == "vetoed"
    assert row["result"]["decision"]["rules"] == ["stop.principal"]
    assert "it loops" in row["result"]["decision"]["reasons"][0]
    assert governed.do("payload.assess", "ann", content="Paris.")["verdict"] == "approved"
    assert governed.sql("SELECT count(*) FROM audit_entries WHERE tag = 'security:stop:set'")[0][0] == 1

    governed.lift("principal", "bob")
    assert governed.do("payload.assess", "bob", content="Paris.")["verdict"] == "approved"


def test_a_stopped_project_holds_up_everybody_in_it_and_nobody_else(governed: Governed) -> None:
    governed.stop("project", governed.project, "incident")

    inside = governed.do("payload.assess", "ann", governed.project, content="Paris.")

    assert inside["verdict"] == "vetoed"
    assert governed.do("payload.assess", "ann", content="Paris.")["verdict"] == "approved"


def test_a_stopped_provider_gets_no_call(governed: Governed) -> None:
    governed.stop("provider", "mock", "it leaks")

    row = governed.do("llm.generate", prompt="Which maintenance type is this? fix a bug", provider="mock")

    assert row["verdict"] == "vetoed"
    assert row["result"]["decision"]["rules"] == ["provider.stopped"]
    assert governed.sql("SELECT count(*) FROM llm_calls")[0][0] == 0


def test_a_call_that_was_under_way_when_its_principal_was_stopped_gives_no_answer(
    governed: Governed, monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers = governed.executor.catalogue["llm.generate"].long
    assert handlers is not None
    perform = handlers.perform

    def stopped_meanwhile(batch: Any) -> Any:
        outcomes = perform(batch)
        governed.stop("principal", "bob", "it loops")
        return outcomes

    monkeypatch.setattr(handlers, "perform", stopped_meanwhile)

    row = governed.do("llm.generate", "bob", prompt="Which maintenance type is this? fix a bug")

    assert row["verdict"] == "vetoed"
    assert "text" not in row["result"]
    assert governed.sql("SELECT state FROM llm_calls") == [("settled",)]


def test_nobody_stops_itself_and_nothing_is_stopped_twice(governed: Governed) -> None:
    with pytest.raises(InvalidInput, match="stop itself"):
        governed.stop("principal", "admin", "oops")
    with pytest.raises(NotFound, match="is not stopped"):
        governed.lift("principal", "bob")
    governed.stop("principal", "bob", "it loops")
    with pytest.raises(Conflict, match="stopped already, by admin"):
        governed.stop("principal", "bob", "again")
