"""Specialists that answer model calls: who may, when, what is written of it, and when it ends. On both databases."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from metaqore.adapters.mock_provider import MockProvider
from metaqore.audit.database import open_database
from metaqore.audit.findings import Verdict as LogVerdict
from metaqore.audit.provenance import named
from metaqore.audit.reconcile import reconcile
from metaqore.cli.main import main
from metaqore.errors import Conflict, Contention, NotFound
from metaqore.hmcp import routing
from metaqore.hmcp.artefact import Loaded
from metaqore.hmcp.build import Built
from metaqore.hmcp.model import GateReport, Prediction, StageResult
from metaqore.hmcp.watch import least_proof
from metaqore.llm.model import Completion, Usage
from metaqore.requests import long_work
from metaqore.store.engine import Database
from tests.contract.pipeline import ORGANIZATION
from tests.contract.test_security_policy import Governed, on_one_database
from tests.specialists import POLICY, call, changes, register, trained

#: What is asked has nothing to do with what was learnt from: later changes.
LATER = changes(200, seed=7)


@pytest.fixture
def governed(database: Database) -> Iterator[Governed]:
    made = Governed(database)
    yield made
    made.engine.database.close()


@pytest.fixture
def never_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "drawn", lambda request, rate: False)


@pytest.fixture
def always_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "drawn", lambda request, rate: True)


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Have the teacher say something else than it taught; None: what it taught."""
    complete = MockProvider.complete

    def say(text: str | None) -> None:
        def answer(provider: Any, batch: Any, go_on: Any) -> Any:
            if text is None:
                return complete(provider, batch, go_on)
            return [Completion(text, Usage(10, 1), "mock", "mock-1", "stop") for _ in batch]

        monkeypatch.setattr(MockProvider, "complete", answer)

    return say


def ask(governed: Governed, nth: int = 0, project: str | None = None, **more: Any) -> dict[str, Any]:
    return governed.do("llm.generate", "ann", project, **call(LATER[nth][0], **more))


def sure(governed: Governed) -> int:
    """The first later change that the specialist answers."""
    return next(nth for nth in range(20) if ask(governed, nth)["result"]["provider"] == "specialist")


def review(governed: Governed) -> None:
    """Have the reviews decided that the calls led to; a worker does that when it hears their ring."""
    assert ("llm", []) in [(queue, []) for queue, _ in governed.bell.rung]
    governed.executor.drain("llm")


def reconciled(governed: Governed) -> LogVerdict:
    verdict, source = LogVerdict(ORGANIZATION), open_database(governed.database.dsn)
    reconcile(source, verdict)
    source.close()
    return verdict


def state(governed: Governed, key: str = "spec_test") -> str:
    return str(governed.sql("SELECT state FROM specialists WHERE id = ?", key)[0][0])


def noted(governed: Governed, tag: str) -> list[dict[str, Any]]:
    rows = governed.sql("SELECT body FROM audit_entries WHERE tag = ? ORDER BY seq", tag)
    return [json.loads(bytes(row[0]))["about"] for row in rows]


def test_a_call_is_answered_by_the_specialist_with_its_certificate_and_no_outside_call(
    governed: Governed, never_drawn: None
) -> None:
    register(governed.engine.store, ORGANIZATION)

    rows = [ask(governed, nth) for nth in range(12)]

    own = [row["result"] for row in rows if row["result"]["provider"] == "specialist"]
    assert len(own) >= 8
    said = [(r["result"]["text"], kind) for r, (_, kind) in zip(rows, LATER, strict=False)]
    assert all(text == kind for text, kind in said)
    assert own[0]["model"] == own[0]["specialist"]["id"] == "spec_test"
    assert own[0]["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "cached_tokens": 0, "estimated": False}
    assert own[0]["specialist"]["confidence"] >= own[0]["specialist"]["certificate"]["threshold"]
    assert own[0]["specialist"]["saved_tokens"] > 0
    outside, served = len(rows) - len(own), len(own)
    assert governed.sql("SELECT count(*) FROM llm_calls") == [(outside,)]
    assert governed.sql("SELECT count(*) FROM specialist_calls WHERE kind = 'served'") == [(served,)]
    # Each answer has its decision, approved for the specialist, and its entry.
    [(decided,)] = governed.sql(
        "SELECT count(*) FROM specialist_calls c JOIN decisions d ON d.id = c.decision_id "
        "AND d.request_id = c.request_id AND d.verdict = 'approved' AND d.provider = 'specialist' WHERE kind = 'served'"
    )
    assert decided == served == len(noted(governed, "hmcp:specialist:routed"))
    [(counted, saved)] = governed.sql("SELECT calls, saved_tokens FROM specialist_counts WHERE kind = 'served'")
    assert (counted, saved) == (served, sum(result["specialist"]["saved_tokens"] for result in own))


def test_many_calls_of_one_batch_are_scored_together(
    governed: Governed, never_drawn: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(governed.engine.store, ORGANIZATION)
    sizes: list[int] = []
    predict = Loaded.predict

    def counted(self: Loaded, prompts: Sequence[str]) -> list[Prediction]:
        sizes.append(len(prompts))
        return predict(self, prompts)

    monkeypatch.setattr(Loaded, "predict", counted)
    requests = [governed.submit("llm.generate", **call(change)) for change, _ in LATER[:16]]

    governed.finish(requests[-1])

    assert sizes == [16]
    assert governed.sql("SELECT count(*) FROM requests WHERE kind = 'llm.generate' AND state = 'succeeded'") == [(16,)]


@on_one_database
@pytest.mark.parametrize(
    "more",
    [
        {"specialist": False},
        {"provider": "mock"},
        {"model": "mock-1"},
        {"temperature": 0.7},
        {"stop": ["e"]},
        {"max_tokens": 1},
        {"is_security_task": True},
    ],
    ids=lambda more: next(iter(more)),
)
def test_who_asks_for_something_else_is_not_answered_by_a_specialist(
    governed: Governed, never_drawn: None, more: dict[str, Any]
) -> None:
    register(governed.engine.store, ORGANIZATION)
    nth = sure(governed)

    assert ask(governed, nth, **more)["result"]["provider"] == "mock"


@on_one_database
def test_who_names_a_provider_and_allows_a_specialist_may_get_one(governed: Governed, never_drawn: None) -> None:
    register(governed.engine.store, ORGANIZATION)
    nth = sure(governed)

    assert ask(governed, nth, provider="mock", specialist=True)["result"]["provider"] == "specialist"


@on_one_database
def test_a_specialist_answers_only_in_projects_that_it_learnt_from(governed: Governed, never_drawn: None) -> None:
    register(governed.engine.store, ORGANIZATION)
    nth = sure(governed)

    assert ask(governed, nth, governed.project)["result"]["provider"] == "mock"


@on_one_database
def test_securegateway_decides_first_and_its_no_holds_for_specialists_too(
    governed: Governed, never_drawn: None
) -> None:
    register(governed.engine.store, ORGANIZATION)
    nth = sure(governed)
    governed.stop("provider", "specialist", "we look into it")
    assert ask(governed, nth)["result"]["provider"] == "mock", "the kill switch of all specialists"
    governed.lift("provider", "specialist")
    base = {"version": 1, "mode": "enforce", "message": "m"}
    governed.save({**base, "id": "no-specialist", "when": 'provider.name == "specialist"', "effect": "deny"})
    assert ask(governed, nth)["result"]["provider"] == "mock", "a rule may forbid specialists and nothing else"
    governed.stop("principal", "ann")

    vetoed = ask(governed, nth, specialist=True)

    assert vetoed["verdict"] == "vetoed"
    assert governed.sql("SELECT count(*) FROM specialist_calls WHERE request_id = ?", vetoed["id"]) == [(0,)]


@on_one_database
def test_an_answer_has_the_label_of_what_the_specialist_learnt_from(
    governed: Governed, never_drawn: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(governed.engine.store, ORGANIZATION)
    nth = sure(governed)
    before = ask(governed, nth)["result"]["decision"]["label"]
    look = routing.Router.look

    def from_internal(self: Any, questions: Any) -> Any:
        return [[replace(sight, sensitivity="INTERNAL") for sight in own] for own in look(self, questions)]

    monkeypatch.setattr(routing.Router, "look", from_internal)

    after = ask(governed, nth)["result"]

    assert (before, after["decision"]["label"]) == ("PUBLIC", "INTERNAL")
    assert after["provider"] == "specialist"


@on_one_database
def test_calls_above_the_ceiling_go_to_their_provider(governed: Governed, never_drawn: None) -> None:
    register(governed.engine.store, ORGANIZATION)
    nth = sure(governed)

    row = ask(governed, nth, has_sensitive_data=True)

    assert row["result"]["provider"] == "mock"
    assert row["result"]["decision"]["label"] in ("SENSITIVE", "CRITICAL")


@on_one_database
def test_who_passes_the_gate_is_proposed_and_takes_the_place_of_who_was_proposed_before(
    governed: Governed, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(governed.engine.store, ORGANIZATION, key="spec_champion")
    register(governed.engine.store, ORGANIZATION, key="spec_before", version=2, state="proposed")
    pattern, made = trained(ORGANIZATION)
    with governed.database.write() as connection:
        sql = governed.database.sql("UPDATE patterns SET body = ?")
        connection.exec_driver_sql(sql, (json.dumps(pattern.to_json()),))
    passed = GateReport((StageResult("functional", True),))
    built = Built(made.artefact, made.specialist, passed)
    monkeypatch.setattr("metaqore.hmcp.handlers.build", lambda *args, **more: built)

    request = governed.submit("specialist.train", pattern="pat_test")
    long_work.drain(governed.executor, "hmcp")

    [(new, digest)] = governed.sql("SELECT id, digest FROM specialists WHERE version = 3")
    states = {state(governed, key) for key in ("spec_champion",)}, state(governed, "spec_before"), state(governed, new)
    assert states == ({"active"}, "retired", "proposed")
    assert digest == made.artefact.digest
    tags = governed.sql("SELECT tag FROM audit_entries WHERE request_id = ? ORDER BY seq", request)
    assert [tag for (tag,) in tags if tag.startswith("hmcp:")] == [
        "hmcp:specialist:trained", "hmcp:specialist:proposed", "hmcp:specialist:retired"
    ]  # fmt: skip


@on_one_database
def test_an_answer_that_no_entry_speaks_of_is_found(governed: Governed, never_drawn: None) -> None:
    register(governed.engine.store, ORGANIZATION)
    nth = sure(governed)
    sound = reconciled(governed)
    row = ask(governed, nth, specialist=False)
    with governed.database.write() as connection:
        connection.exec_driver_sql(
            governed.database.sql(
                "INSERT INTO specialist_calls (id, organization, request_id, decision_id, specialist, kind, "
                "confidence, at) VALUES ('spc_x', ?, ?, ?, 'spec_test', 'served', 1, 1)"
            ),
            (ORGANIZATION, row["id"], row["result"]["decision"]["id"]),
        )

    assert sound.findings == []
    assert "specialist answer spc_x is there and no entry says so" in reconciled(governed).findings[0].why


@on_one_database
def test_a_call_made_from_an_artifact_is_its_teachers_business(governed: Governed, never_drawn: None) -> None:
    register(governed.engine.store, ORGANIZATION)
    made = governed.do("artifact.declare", project=governed.project, type="doc", name="a", content="text")
    artifact = made["result"]["artifact"]["id"]
    nth = sure(governed)

    assert ask(governed, nth, inputs=[artifact])["result"]["provider"] == "mock"


@on_one_database
def test_what_came_from_a_specialist_says_so(governed: Governed, never_drawn: None) -> None:
    register(governed.engine.store, ORGANIZATION)
    row = ask(governed, sure(governed))
    made = governed.do("artifact.declare", project=governed.project, type="doc", name="a", content="text",
                       provenance={"from": row["id"]})  # fmt: skip
    # The call was made outside of every project, so that it is shown to who asks for all.
    graph = governed.engine.views.provenance.of(
        ORGANIZATION, made["result"]["artifact"]["id"], 1, depth=3, limit=100
    )  # fmt: skip

    assert named("model", "specialist", "spec_test") in graph.nodes


@on_one_database
def test_the_command_lists_what_they_did(
    governed: Governed, never_drawn: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(governed.engine.store, ORGANIZATION)
    ask(governed, sure(governed))
    monkeypatch.setenv("METAQORE_STORAGE_DSN", governed.database.dsn)
    monkeypatch.setenv("METAQORE_ORGANIZATION", ORGANIZATION)

    told = CliRunner().invoke(main, ["specialists"])

    assert told.exit_code == 0, told.output
    assert "spec_test active   version 1 of pat_test: 2 served" in told.output


def test_drawn_calls_go_to_the_teacher_and_both_are_compared(governed: Governed, always_drawn: None) -> None:
    register(governed.engine.store, ORGANIZATION)

    rows = [ask(governed, nth) for nth in range(12)]

    assert {row["result"]["provider"] for row in rows} == {"mock"}
    kinds = dict(governed.sql("SELECT kind, count(*) FROM specialist_calls GROUP BY kind"))
    assert kinds["audited"] >= 8 and sum(kinds.values()) == 12 and set(kinds) <= {"audited", "abstained"}
    [(agreed,)] = governed.sql("SELECT count(*) FROM specialist_calls WHERE agreed = 1")
    assert agreed == kinds["audited"]
    details = [about["details"].get("specialists") for about in noted(governed, "llm:call:settled")]
    assert "spec_test:audited:agreed" in details


@on_one_database
def test_nobody_retires_a_specialist_by_cutting_its_teachers_answers(governed: Governed, always_drawn: None) -> None:
    register(governed.engine.store, ORGANIZATION)

    for nth in range(3):
        ask(governed, nth, max_tokens=1)

    assert governed.sql("SELECT count(*) FROM specialist_calls WHERE kind = 'audited'") == [(0,)]


def test_a_specialist_whose_teacher_changes_its_mind_is_retired_at_once_and_says_so(
    governed: Governed, always_drawn: None, says: Callable[[str | None], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    register(governed.engine.store, ORGANIZATION)
    says("perfective")
    requests = [governed.submit("llm.generate", **call(change)) for change, _ in LATER[:48]]

    governed.finish(requests[-1])
    review(governed)

    assert state(governed) == "retired"
    [about] = noted(governed, "hmcp:specialist:drifted")
    assert about["subject"] == "spec_test" and about["details"]["disagreed"] == about["details"]["compared"]
    assert governed.sql("SELECT state FROM patterns") == [("proposed",)]
    monkeypatch.setattr(routing, "drawn", lambda request, rate: False)
    assert ask(governed, 0)["result"]["provider"] == "mock", "the circuit is open"


def test_a_proposed_specialist_answers_only_when_it_was_proven_and_takes_the_place_of_the_champion(
    governed: Governed, always_drawn: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(governed.engine.store, ORGANIZATION, key="spec_old")
    register(governed.engine.store, ORGANIZATION, key="spec_new", version=2, state="proposed")
    least = least_proof(POLICY.certify.alpha, POLICY.certify.delta)
    few = [governed.submit("llm.generate", **call(change)) for change, _ in LATER[: least - 20]]
    governed.finish(few[-1])
    review(governed)
    assert (state(governed, "spec_old"), state(governed, "spec_new")) == ("active", "proposed")

    more = [governed.submit("llm.generate", **call(change)) for change, _ in LATER[least : 2 * least]]
    governed.finish(more[-1])
    review(governed)

    assert (state(governed, "spec_old"), state(governed, "spec_new")) == ("retired", "active")
    [activated], [retired] = (noted(governed, f"hmcp:specialist:{what}") for what in ("activated", "retired"))
    assert activated["subject"] == "spec_new" and activated["details"]["disagreed"] == 0
    assert (retired["subject"], retired["details"]["by"]) == ("spec_old", "spec_new")
    monkeypatch.setattr(routing, "drawn", lambda request, rate: False)
    assert ask(governed, sure(governed))["result"]["specialist"]["version"] == 2


@on_one_database
def test_without_a_draw_a_proposed_specialist_learns_nothing_from_what_its_champion_left(
    governed: Governed, never_drawn: None
) -> None:
    register(governed.engine.store, ORGANIZATION, key="spec_old")
    register(governed.engine.store, ORGANIZATION, key="spec_new", version=2, state="proposed")

    # For whatever reason calls reach the teacher that the champion would have answered.
    governed.stop("provider", "specialist")

    for nth in range(3):
        assert ask(governed, nth)["result"]["provider"] == "mock"

    assert governed.sql("SELECT count(*) FROM specialist_calls WHERE kind <> 'abstained'") == [(0,)]


def test_an_erasure_between_asking_and_answering_is_obeyed(
    governed: Governed, never_drawn: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(governed.engine.store, ORGANIZATION)
    nth = sure(governed)
    # Somebody whose call the specialist may have learnt from; that call came before it was trained.
    governed.do("llm.generate", "eve", prompt="Say hello", specialist=False)
    with governed.database.write() as connection:
        connection.exec_driver_sql("UPDATE llm_calls SET prepared_at = 1")
    [(key,)] = governed.sql("SELECT id FROM subject_keys WHERE subject = 'eve'")
    look = routing.Router.look

    def erased_meanwhile(self: Any, questions: Any) -> Any:
        found = look(self, questions)
        assert any(sight.serves and sight.routed for own in found for sight in own)
        governed.run("subject.erase", key=key, basis="art17")
        return found

    monkeypatch.setattr(routing.Router, "look", erased_meanwhile)

    assert ask(governed, nth)["result"]["provider"] == "mock"
    assert state(governed) == "retired"
    assert governed.sql("SELECT weights, manifest FROM specialists") == [(None, "{}")]


@on_one_database
def test_what_was_trained_while_somebody_was_erased_is_not_registered(governed: Governed) -> None:
    governed.do("llm.generate", "eve", prompt="Say hello")
    [(key,)] = governed.sql("SELECT id FROM subject_keys WHERE subject = 'eve'")
    governed.run("subject.erase", key=key, basis="art17")
    [(at,)] = governed.sql("SELECT erased_at FROM erasures")

    with governed.database.write() as connection:
        connection.exec_driver_sql(governed.database.sql("UPDATE erasures SET erased_at = ?"), (at + 60_000,))
    with pytest.raises(Contention):
        register(governed.engine.store, ORGANIZATION)


@on_one_database
def test_a_specialist_can_be_retired_by_hand_once(governed: Governed, never_drawn: None) -> None:
    register(governed.engine.store, ORGANIZATION)

    governed.run("specialist.retire", specialist="spec_test")

    assert ask(governed, 0)["result"]["provider"] == "mock"
    assert noted(governed, "hmcp:specialist:retired")[0]["details"]["by"] == "request"
    with pytest.raises(Conflict, match="is retired"):
        governed.run("specialist.retire", specialist="spec_test")
    with pytest.raises(NotFound):
        governed.run("specialist.retire", specialist="spec_none")


@on_one_database
def test_a_specialist_that_cannot_be_loaded_keeps_nobody_waiting(governed: Governed, never_drawn: None) -> None:
    register(governed.engine.store, ORGANIZATION)
    with governed.database.write() as connection:
        connection.exec_driver_sql(governed.database.sql("UPDATE specialists SET weights = ?"), (b"PK not really",))

    assert ask(governed, 0)["result"]["provider"] == "mock"


@on_one_database
def test_a_budget_that_is_used_up_does_not_keep_a_specialist_from_answering(
    governed: Governed, never_drawn: None
) -> None:
    register(governed.engine.store, ORGANIZATION)
    nth = sure(governed)
    governed.run("budget.set", scope="organization", subject="", unit="calls", period="total", amount=0)

    assert ask(governed, nth)["result"]["provider"] == "specialist"
    assert ask(governed, nth, specialist=False)["verdict"] == "blocked"
