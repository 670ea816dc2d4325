"""Custom policies and stops, through the door, on both databases."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metaqore import bootstrap
from metaqore.adapters.mock_provider import MockProvider
from metaqore.errors import Conflict, InvalidInput, NotFound, PreconditionFailed
from metaqore.llm.model import stopped
from metaqore.messages import Submission
from metaqore.queues import STOPS
from metaqore.requests import long_work
from metaqore.requests.model import Idempotency, Ran, Vetoed
from metaqore.settings import load
from metaqore.store.engine import Database
from tests.contract.pipeline import ORGANIZATION, Bell, Results
from tests.running import wait_until

#: For what no database can make a difference to.
on_one_database = pytest.mark.parametrize("dsn", ["sqlite"], indirect=True)
DENY_BOB = {"id": "no-bob", "version": 2, "mode": "enforce", "when": 'request.principal == "bob"', "effect": "deny",
            "message": "Bob is on leave."}  # fmt: skip


class Governed:
    """The whole engine over one database: every kind, SecureGateway before all of them."""

    def __init__(self, database: Database, config: Path | None = None) -> None:
        self.bell = Bell()
        given = {"storage_dsn": database.dsn, "redis_url": "redis://127.0.0.1:1/0"}
        settings = load({**given, **({"config_dir": str(config)} if config else {})}, environ={})
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
        for queue in ("security", "llm", "psmp"):
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
    noted = governed.sql("SELECT body FROM audit_entries WHERE tag = 'security:policy:changed' ORDER BY seq DESC")
    assert saved.result["digest"] in bytes(noted[0][0]).decode()


def test_a_denial_for_what_a_request_is_holds_for_every_kind(governed: Governed) -> None:
    governed.save(DENY_BOB)

    declared = governed.do("artifact.declare", "bob", governed.project, type="doc", name="a", content="text")

    assert declared["verdict"] == "vetoed"
    assert governed.sql("SELECT count(*) FROM artifacts")[0][0] == 0
    assert governed.sql("SELECT verdict FROM decisions WHERE request_id = ?", declared["id"]) == [("vetoed",)]
    with pytest.raises(Vetoed, match="Bob is on leave"):
        governed.run("project.save", "bob", name="b")


def test_a_vetoed_change_may_be_asked_for_again_under_its_key(governed: Governed) -> None:
    governed.save(DENY_BOB)
    asked = governed.submission("project.save", "bob", None, {"name": "b", "mode": "strict"})
    key = Idempotency("POST /projects", "k", "sha256:b")
    with pytest.raises(Vetoed):
        governed.executor.run_now(asked, key)
    governed.save()

    made = governed.executor.run_now(asked, key)

    assert (made.replayed, made.result["name"]) == (False, "b")


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


@on_one_database
def test_a_policy_with_a_mistake_is_refused_with_its_pointer(governed: Governed) -> None:
    with pytest.raises(InvalidInput, match="unknown fact 'principal'") as refused:
        governed.save({**DENY_BOB, "when": 'principal == "bob"'})

    assert refused.value.details["errors"][0]["pointer"] == "/document/rules/0/when"
    assert governed.sql("SELECT count(*) FROM policies")[0][0] == 0


def test_a_stale_version_of_a_policy_is_refused(governed: Governed) -> None:
    governed.save(DENY_BOB)

    with pytest.raises(PreconditionFailed, match="version 1"):
        governed.run("policy.save", project=None, document={}, version=0)


@on_one_database
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


def test_what_a_stopped_principal_made_lately_can_be_put_into_quarantine(governed: Governed) -> None:
    for principal, name in (("bob", "a"), ("ann", "b")):
        governed.do("artifact.declare", principal, governed.project, type="doc", name=name, content=f"text of {name}")

    governed.stop("principal", "bob", quarantine_since=0)
    for _ in range(3):
        governed.executor.drain("psmp")

    states = dict(governed.sql("SELECT name, state FROM artifacts"))
    assert states["a"] == "quarantined"
    assert states["b"] != "quarantined"


@on_one_database
def test_whoever_acts_for_a_stopped_principal_is_stopped_too(governed: Governed) -> None:
    governed.stop("principal", "bob")

    assert governed.do("payload.assess", "bob/crawler", content="Paris.")["verdict"] == "vetoed"
    assert governed.do("payload.assess", "bobby/crawler", content="Paris.")["verdict"] == "approved"


@on_one_database
def test_a_stopped_project_holds_up_everybody_in_it_and_nobody_else(governed: Governed) -> None:
    governed.stop("project", governed.project, "incident")

    inside = governed.do("payload.assess", "ann", governed.project, content="Paris.")

    assert inside["verdict"] == "vetoed"
    assert governed.do("payload.assess", "ann", content="Paris.")["verdict"] == "approved"
    with pytest.raises(Vetoed, match="incident"):
        governed.run("task.save", "ann", project=governed.project, title="t")


@on_one_database
def test_a_stopped_provider_gets_no_call(governed: Governed) -> None:
    governed.stop("provider", "mock", "it leaks")

    row = governed.do("llm.generate", prompt="Which maintenance type is this? fix a bug", provider="mock")

    assert row["verdict"] == "vetoed"
    assert row["result"]["decision"]["rules"] == ["provider.stopped"]
    assert governed.sql("SELECT count(*) FROM llm_calls")[0][0] == 0


@on_one_database
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


@on_one_database
@pytest.mark.parametrize("moment", ["before", "while"])
def test_a_provider_that_is_stopped_after_the_approval_is_not_listened_to(
    governed: Governed, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    called = []
    handlers = governed.executor.catalogue["llm.generate"].long
    assert handlers is not None
    perform, complete = handlers.perform, MockProvider.complete

    def stopped_before(batch: Any) -> Any:
        governed.stop("provider", "mock", "it leaks")
        return perform(batch)

    def stopped_while(provider: Any, batch: Any, go_on: Any) -> Any:
        called.append(batch)
        if moment == "while":
            governed.stop("provider", "mock", "it leaks")
        return complete(provider, batch, go_on)

    if moment == "before":
        monkeypatch.setattr(handlers, "perform", stopped_before)
    monkeypatch.setattr(MockProvider, "complete", stopped_while)

    row = governed.do("llm.generate", "bob", prompt="Which maintenance type is this? fix a bug")

    assert row["verdict"] == "vetoed"
    assert row["result"]["decision"]["rules"] == ["provider.stopped"]
    assert len(called) == (1 if moment == "while" else 0)
    assert governed.sql("SELECT state FROM llm_calls") == [("settled" if moment == "while" else "failed",)]


@on_one_database
@pytest.mark.parametrize("what", ["principal", "project"])
def test_a_call_whose_principal_or_project_is_stopped_after_the_approval_does_not_leave(
    governed: Governed, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    called = []
    handlers = governed.executor.catalogue["llm.generate"].long
    assert handlers is not None
    perform = handlers.perform

    def stopped_before(batch: Any) -> Any:
        governed.stop(what, "bob" if what == "principal" else governed.project)
        return perform(batch)

    monkeypatch.setattr(handlers, "perform", stopped_before)
    monkeypatch.setattr(MockProvider, "complete", lambda _provider, batch, go_on: called.append(batch))

    row = governed.do("llm.generate", "bob", governed.project, prompt="Which maintenance type is this? fix a bug")

    assert row["verdict"] == "vetoed"
    assert row["result"]["decision"]["rules"] == [f"stop.{what}"]
    assert called == []
    assert governed.sql("SELECT state FROM llm_calls") == [("failed",)]


def test_a_stop_and_its_end_are_rung_to_every_process(governed: Governed) -> None:
    governed.stop("principal", "bob")
    governed.lift("principal", "bob")

    assert [queue for queue, _ in governed.bell.rung if queue == STOPS] == [STOPS, STOPS]


@on_one_database
def test_nobody_stops_itself_and_nothing_is_stopped_twice(governed: Governed) -> None:
    with pytest.raises(InvalidInput, match="stop itself"):
        governed.stop("principal", "admin", "oops")
    with pytest.raises(NotFound, match="is not stopped"):
        governed.lift("principal", "bob")
    governed.stop("principal", "bob", "it loops")
    with pytest.raises(Conflict, match="stopped already, by admin"):
        governed.stop("principal", "bob", "again")


def test_a_policy_is_tried_on_what_was_decided_and_changes_nothing(governed: Governed) -> None:
    card = {"content": "Refund card 4111 1111 1111 1111", "task_type": "refund"}
    allowed = governed.do("payload.assess", "bob", content="Paris is the capital of France.", provider="mock")
    governed.do("payload.assess", "ann", **card)
    raise_it = {**DENY_BOB, "id": "cards", "when": '"payment_card" in findings && task_type == "refund"'}
    views, gate = governed.engine.views.security, governed.engine.gate

    def changed(*rules: dict[str, Any]) -> list[Any]:
        recorded = views.latest_decisions(ORGANIZATION, None, 100)
        with views.gate() as reads:
            return gate.preview(ORGANIZATION, None, {"rules": list(rules)}, recorded, reads).changed

    assert changed() == []
    [bob] = changed(DENY_BOB)
    assert (bob.decision, bob.after["verdict"]) == (allowed["result"]["decision"]["id"], "vetoed")
    assert [change.principal for change in changed(raise_it)] == ["ann"]
    assert governed.sql("SELECT count(*) FROM policies")[0][0] == 0


# What leaves, and what comes back


MAIL, TOKEN = "maria.keller@posteo.net", "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
ECHO = """
      - name: echo
        regex: (?is)say it again.(?P<it>.*)
        reply: "You said: {{it}}"
"""


@pytest.fixture
def echoing(database: Database, tmp_path: Path) -> Iterator[Governed]:
    """An engine whose mock provider repeats what it was sent."""
    shutil.copytree(Path(__file__).parents[2] / "config", tmp_path / "config")
    file = tmp_path / "config" / "providers.yaml"
    file.write_text(file.read_text().replace("    scenarios:\n", "    scenarios:" + ECHO, 1))
    made = Governed(database, tmp_path / "config")
    yield made
    made.engine.database.close()


def sent(governed: Governed) -> str:
    """Everything that the ledger has of the only call."""
    [row] = governed.sql("SELECT command, response, redacted FROM llm_calls")
    return " ".join(map(str, row))


def test_a_secret_is_taken_out_before_a_call_and_put_back_into_the_answer(echoing: Governed) -> None:
    row = echoing.do("llm.generate", prompt=f"Say it again: the deploy key is {TOKEN}, keep it.")

    assert row["verdict"] == "approved"
    assert TOKEN in row["result"]["text"]
    assert TOKEN not in sent(echoing)
    assert "CRITICAL" in sent(echoing)


@on_one_database
def test_what_cannot_be_taken_out_is_not_sent(echoing: Governed) -> None:
    # A key in two messages: only together they are one.
    halves = ["-----BEGIN PRIVATE KEY-----", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"]
    messages = [{"role": "user", "content": half} for half in halves]

    row = echoing.do("llm.generate", messages=messages, is_security_task=True, has_sensitive_data=True)

    assert row["verdict"] == "vetoed"
    assert row["result"]["decision"]["rules"] == ["redact.impossible"]
    assert echoing.sql("SELECT count(*) FROM llm_calls")[0][0] == 0


def test_an_answer_from_the_ledger_has_the_values_back_too(echoing: Governed, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = f"Say it again: the deploy key is {TOKEN}, keep it."
    first = echoing.do("llm.generate", prompt=prompt)
    with echoing.database.write() as connection:
        sql = "UPDATE requests SET state = 'accepted', verdict = NULL, result = NULL, finished_at = NULL WHERE id = ?"
        connection.exec_driver_sql(echoing.database.sql(sql), (first["id"],))

    again = echoing.finish(first["id"])

    assert again["result"]["text"] == first["result"]["text"]
    assert echoing.sql("SELECT count(*) FROM llm_calls")[0][0] == 1


@on_one_database
def test_a_policy_can_demand_names_and_short_answers(echoing: Governed) -> None:
    base = {"version": 1, "mode": "enforce", "when": 'request.kind == "llm.generate"', "message": "m"}
    echoing.save(
        {**base, "id": "a", "effect": {"redact": "PUBLIC"}}, {**base, "id": "b", "effect": {"limit_tokens": 40}}
    )

    row = echoing.do("llm.generate", prompt=f"Say it again: write to {MAIL}, then to {MAIL}.", max_tokens=100)

    assert row["result"]["text"].count(MAIL) == 2
    assert MAIL not in sent(echoing)
    assert '"max_tokens":40' in sent(echoing)


def test_a_call_that_the_policy_keeps_from_training_is_not_learnt_from(echoing: Governed) -> None:
    plain = echoing.do("llm.generate", prompt="Say it again: the weather is fine.")
    echoing.do("llm.generate", prompt="Say it again: the weather is better.", task_type="release_plan")

    with echoing.engine.store.read() as tx:
        rows = tx.reads("llm").settled(ORGANIZATION, 0, 10)

    assert [row["request_id"] for row in rows] == [plain["id"]]


@on_one_database
def test_a_prompt_inherits_the_label_of_the_artifacts_it_names(echoing: Governed) -> None:
    made = echoing.do(
        "artifact.declare", "ann", echoing.project, type="doc", name="a", content="text", label="SENSITIVE"
    )
    artifact = made["result"]["artifact"]["id"]

    declared = echoing.do("llm.generate", prompt="Say it again: hello.", inputs=[artifact])
    named = echoing.do("llm.generate", prompt=f"Say it again: what does {artifact} say?")
    unknown = echoing.do("llm.generate", prompt="Say it again: hello.", inputs=["art_nothing"])

    assert declared["result"]["decision"]["label"] == named["result"]["decision"]["label"] == "SENSITIVE"
    assert echoing.do("llm.generate", prompt="Say it again: hello.")["result"]["decision"]["label"] == "PUBLIC"
    assert json.loads(unknown["error"])["code"] == "not_found"


@on_one_database
def test_no_prompt_is_made_of_what_is_in_quarantine(echoing: Governed) -> None:
    made = echoing.do("artifact.declare", "ann", echoing.project, type="doc", name="q", content="text")
    artifact = made["result"]["artifact"]["id"]

    def asked(**more: Any) -> dict[str, Any]:
        return echoing.do("llm.generate", prompt="Say it again: hello.", **more)

    before = asked(inputs=[artifact])
    echoing.do("artifact.transition", "ann", echoing.project, artifact=artifact, to="quarantined")
    kept = asked(inputs=[artifact])
    about = echoing.do("llm.generate", prompt=f"Say it again: {artifact} is in quarantine.")

    assert (kept["verdict"], kept["result"]["decision"]["rules"]) == ("vetoed", ["input.set_aside"])
    assert before["verdict"] == about["verdict"] == "approved"


def test_an_approval_lets_exactly_the_payload_through_that_was_approved(governed: Governed) -> None:
    rule = {"id": "four-eyes", "version": 1, "mode": "enforce", "when": 'task_type == "deploy"',
            "effect": {"require_approval": "approvals:answer"}, "message": "Two people look at deploys."}  # fmt: skip
    governed.save(rule)
    asked = {"content": "Deploy release 7.", "task_type": "deploy"}

    vetoed = governed.do("payload.assess", "ann", **asked)
    [(approval, digest)] = governed.sql("SELECT id, content_hash FROM approvals WHERE state = 'open'")
    answer = {"approval": approval, "answer": "approve", "authority": ["approvals:answer"], "content_hash": digest}
    governed.do("approval.answer", "boss", **answer)

    assert vetoed["verdict"] == "vetoed"
    assert vetoed["result"]["decision"]["approvals"] == ["approvals:answer"]
    assert governed.do("payload.assess", "ann", **asked)["verdict"] == "approved"
    assert governed.do("payload.assess", "bob", **asked)["verdict"] == "vetoed"
    assert governed.do("payload.assess", "ann", **{**asked, "content": "Deploy release 8."})["verdict"] == "vetoed"


def _eyes(**more: Any) -> dict[str, Any]:
    return {"id": "eyes", "version": 1, "mode": "enforce", "when": 'request.kind == "artifact.declare"',
            "effect": {"require_approval": "approvals:answer"}, "message": "Two people look.", **more}  # fmt: skip


def _open(governed: Governed) -> list[Any]:
    governed.executor.drain("psmp")
    return governed.sql("SELECT id, content_hash, author FROM approvals WHERE state = 'open' ORDER BY created_at, id")


def _answer(governed: Governed, approval: str, answer: str = "approve", by: str = "eve") -> dict[str, Any]:
    return governed.do("approval.answer", by, governed.project, approval=approval, answer=answer,
                       authority=["approvals:answer"])  # fmt: skip


def test_a_declaration_waits_for_an_approval_of_exactly_what_it_holds(governed: Governed) -> None:
    governed.save(_eyes())
    asked = {"type": "doc", "name": "a", "content": "text"}

    first = governed.do("artifact.declare", "ann", governed.project, **asked)
    governed.do("artifact.declare", "ann", governed.project, **asked)
    assert first["verdict"] == "vetoed"
    assert first["result"]["decision"]["approvals"] == ["approvals:answer"]
    assert first["result"]["decision"]["rules"] == ["eyes@1"]
    [(approval, content, author)] = _open(governed)
    assert (content[:7], author) == ("sha256:", "ann")
    assert _answer(governed, approval, by="ann")["state"] == "failed", "nobody approves what is their own"
    assert _answer(governed, approval)["verdict"] == "approved"

    other = governed.do("artifact.declare", "ann", governed.project, **{**asked, "content": "another text"})
    by_bob = governed.do("artifact.declare", "bob", governed.project, **asked)
    again = governed.do("artifact.declare", "ann", governed.project, **asked)

    assert [row["verdict"] for row in (other, by_bob, again)] == ["vetoed", "vetoed", "approved"]
    assert governed.sql("SELECT count(*) FROM artifacts") == [(1,)]
    assert len(_open(governed)) == 2


@on_one_database
def test_what_was_refused_approval_stays_vetoed_and_is_asked_for_again(governed: Governed) -> None:
    governed.save(_eyes())
    asked = {"type": "doc", "name": "a", "content": "text"}
    governed.do("artifact.declare", "ann", governed.project, **asked)
    [(approval, _, _)] = _open(governed)
    _answer(governed, approval, "deny")

    assert governed.do("artifact.declare", "ann", governed.project, **asked)["verdict"] == "vetoed"
    assert len(_open(governed)) == 1


@on_one_database
def test_a_question_about_everything_does_not_ask_about_its_own_answers(governed: Governed) -> None:
    governed.save(_eyes(when='request.principal != "admin"'))
    governed.do("artifact.declare", "ann", governed.project, type="doc", name="a", content="text")

    [(approval, _, _)] = _open(governed)
    assert _answer(governed, approval)["verdict"] == "approved"
    with pytest.raises(Vetoed, match=r"project\.save cannot wait for an approval"):
        governed.run("project.save", "ann", name="b")


def test_the_log_names_the_policies_that_let_a_declaration_through_and_what_they_remark(governed: Governed) -> None:
    def noted(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        row = governed.do("artifact.declare", "ann", governed.project, type="doc", name=name, content=f"text of {name}")
        [(body,)] = governed.sql("SELECT body FROM audit_entries WHERE request_id = ? AND tag = "
                                 "'psmp:artifact:admitted'", row["id"])  # fmt: skip
        return json.loads(bytes(body))["about"]["details"], row["result"]

    plain, _ = noted("a")
    saved = governed.save(_eyes(mode="shadow"), _eyes(id="soon", mode="warn", effect="deny"))
    watched, result = noted("b")

    assert plain["gate"] == governed.engine.policies.current().digest
    assert watched["gate"] not in (plain["gate"], saved.result["digest"])
    assert (watched["shadow"], watched["warnings"]) == ("eyes@1", "soon@1")
    assert result["policy_warnings"] == ["soon@1: Two people look."]
    assert "shadow" not in plain


@on_one_database
def test_who_calls_a_model_is_told_of_the_rules_that_only_warn(governed: Governed) -> None:
    about = {"when": 'request.kind == "llm.generate" && provider.class == "local"', "effect": "deny"}
    governed.save(_eyes(id="seen", mode="shadow", **about), _eyes(id="soon", mode="warn", **about))

    row = governed.do("llm.generate", "ann", governed.project, prompt="Which maintenance type is this? fix a bug")

    assert (row["verdict"], row["result"]["policy_warnings"]) == ("approved", ["soon@1: Two people look."])
    [(body,)] = governed.sql("SELECT body FROM audit_entries WHERE request_id = ? AND tag = "
                             "'security:decision:approved'", row["id"])  # fmt: skip
    details = json.loads(bytes(body))["about"]["details"]
    assert (details["shadow"], details["warnings"]) == ("seen@1", "soon@1")


@on_one_database
@pytest.mark.parametrize("what", ["provider", "principal"])
def test_a_provider_hears_of_a_stop_while_its_calls_are_out(
    governed: Governed, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    heard: list[bool] = []

    def out_when_stopped(provider: Any, batch: Any, go_on: Any) -> Any:
        heard.append(go_on(0))
        governed.stop(what, "mock" if what == "provider" else "bob", "it leaks")
        wait_until(lambda: not go_on(0), "the provider hears of the stop", 60.0)
        return [stopped("mock") for _ in batch]

    monkeypatch.setattr(MockProvider, "complete", out_when_stopped)

    row = governed.do("llm.generate", "bob", prompt="Which maintenance type is this? fix a bug")

    assert heard == [True]
    rule = "provider.stopped" if what == "provider" else "stop.principal"
    assert (row["verdict"], row["result"]["decision"]["rules"]) == ("vetoed", [rule])


@on_one_database
def test_a_call_that_was_cut_off_is_counted_in_full(governed: Governed, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_when_stopped(provider: Any, batch: Any, go_on: Any) -> Any:
        governed.stop("provider", "mock", "it leaks")
        return [stopped("mock", may_have_run=True) for _ in batch]

    wanted = {"scope": "organization", "subject": "", "unit": "calls", "period": "total", "amount": 5}
    governed.run("budget.set", **wanted)
    monkeypatch.setattr(MockProvider, "complete", out_when_stopped)

    row = governed.do("llm.generate", "bob", prompt="Which maintenance type is this? fix a bug")

    assert (row["verdict"], row["result"]["decision"]["rules"]) == ("vetoed", ["provider.stopped"])
    assert governed.sql("SELECT spent, reserved FROM budgets") == [(1, 0)]
    [(error,)] = governed.sql("SELECT error FROM llm_calls")
    assert "while it was out" in error


@on_one_database
def test_a_quarantine_is_held_up_by_no_rule_and_no_stop(governed: Governed) -> None:
    governed.do("artifact.declare", "bob", governed.project, type="doc", name="a", content="text of a")
    governed.save({**DENY_BOB, "when": 'request.kind.startsWith("artifact.")'})

    governed.stop("project", governed.project, "incident")
    governed.stop("principal", "bob", quarantine_since=0)
    for _ in range(3):
        governed.executor.drain("psmp")

    assert governed.sql("SELECT state FROM artifacts") == [("quarantined",)]


def test_what_a_stopped_project_made_lately_can_be_put_into_quarantine(governed: Governed) -> None:
    other = str(governed.run("project.save", name="q", mode="strict").result["id"])
    for project, name in ((governed.project, "a"), (other, "b")):
        governed.do("artifact.declare", "ann", project, type="doc", name=name, content=f"text of {name}")

    governed.stop("project", governed.project, quarantine_since=0)
    for _ in range(3):
        governed.executor.drain("psmp")

    assert dict(governed.sql("SELECT name, state FROM artifacts")) == {"a": "quarantined", "b": "proposed"}


def test_what_was_made_with_a_stopped_provider_can_be_put_into_quarantine(governed: Governed) -> None:
    calls = [governed.do("llm.generate", prompt=f"Name tree number {n}.", provider="mock") for n in range(2)]
    [(call,)] = governed.sql("SELECT id FROM llm_calls WHERE request_id = ?", calls[1]["id"])
    unknown = "req_" + "0" * 32
    origins = {"a": {"request": calls[0]["id"]}, "b": {"calls": [{"id": call}]}, "c": {}, "d": {"request": unknown}}
    for name, origin in origins.items():
        governed.do("artifact.declare", "ann", governed.project, type="doc", name=name, content=f"text of {name}",
                    provenance=origin)  # fmt: skip

    governed.stop("provider", "mock", quarantine_since=0)
    for _ in range(3):
        governed.executor.drain("psmp")

    states = dict(governed.sql("SELECT name, state FROM artifacts"))
    assert states == {"a": "quarantined", "b": "quarantined", "c": "proposed", "d": "proposed"}


@on_one_database
@pytest.mark.parametrize("field", ["provider", "model"])
def test_what_cannot_be_a_name_is_quoted_in_no_decision_and_no_error(governed: Governed, field: str) -> None:
    planted = {field: "Mr. Egon Quarkbeutel, IBAN DE89370400440532013000"}

    asked = governed.do("llm.generate", "bob", prompt="Which maintenance type is this? fix a bug", **planted)

    assert asked["verdict"] == "vetoed" if field == "provider" else asked["state"] == "failed"
    kept = [
        *governed.sql("SELECT body FROM decisions"), *governed.sql("SELECT result, error FROM requests"),
        *governed.sql("SELECT body FROM audit_entries"),
    ]  # fmt: skip
    assert "Quarkbeutel" not in str(kept)
    [(body,)] = governed.sql("SELECT body FROM decisions")
    assert json.loads(body)["asked"][field] == "?"
    assert b"Quarkbeutel" not in b"".join(f.document for f in governed.executor.results.published)  # type: ignore[attr-defined]
