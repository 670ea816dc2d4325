"""Escalated to a person: what is approved is exactly what was shown, or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from metaqore.messages import Submission
from metaqore.requests.schedules import Schedules
from tests.contract.pipeline import ORGANIZATION, Pipeline
from tests.contract.test_psmp_modes import declared
from tests.contract.test_psmp_resolution import blocked, conflict_states, content, decide, resolution


@pytest.fixture
def project(pipeline: Pipeline) -> str:
    """A strict project with x at version 2."""
    made = pipeline.project("strict")
    decide(pipeline, declared(made, "x", {"a": 1, "b": 1}), declared(made, "x", {"a": 2, "b": 1}, 1))
    return made


def ask(project: str, kind: str, by: str = "pat", **payload: Any) -> Submission:
    return Submission(organization=ORGANIZATION, project=project, principal=by, kind=kind, payload=payload)


def answer(
    project: str, approval: str, word: str = "approve", by: str = "pat", scope: str = "approvals:answer", **more: Any
) -> Submission:
    return ask(project, "approval.answer", by, approval=approval, answer=word, authority=[scope], **more)


def escalated(pipeline: Pipeline, project: str, body: Any = None, **more: Any) -> tuple[str, dict[str, Any]]:
    """Let bob be blocked and eve escalate; return the conflict and the approval."""
    conflict = blocked(pipeline, project, body or declared(project, "x", {"a": 9, "b": 1}, 1, "bob"))[0]
    asked = resolution(project, conflict, "escalate")
    asked = Submission(organization=ORGANIZATION, project=project, principal="eve", kind=asked.kind,
                       payload={**asked.payload, **more})  # fmt: skip
    _, verdict, result = decide(pipeline, asked)[0]
    assert verdict == "approved"
    return conflict, result["approval"]


def tags(pipeline: Pipeline) -> list[str]:
    return [row[0] for row in pipeline.sql("SELECT tag FROM audit_entries ORDER BY seq")]


def events(pipeline: Pipeline) -> list[str]:
    return [row[0] for row in pipeline.sql("SELECT type FROM events ORDER BY seq")]


def approvals(pipeline: Pipeline) -> list[Any]:
    return pipeline.sql("SELECT state, answered_by FROM approvals ORDER BY id")


def test_what_a_person_approves_is_admitted_as_it_was_shown(pipeline: Pipeline, project: str) -> None:
    _, approval = escalated(pipeline, project)
    assert (set(conflict_states(pipeline)), approvals(pipeline)) == ({"escalated"}, [("open", None)])

    state, verdict, result = decide(pipeline, answer(project, approval["id"], reason="agreed"))[0]

    assert (state, verdict, result["artifact"]["version"]) == ("succeeded", "approved", 3)
    assert content(pipeline) == {"a": 9, "b": 1}
    assert result["provenance"]["approved_by"] == "pat"
    assert result["provenance"]["content_hash"] == approval["content_hash"]
    assert pipeline.sql("SELECT created_by FROM artifact_versions WHERE version = 3") == [("bob",)]
    assert (set(conflict_states(pipeline)), approvals(pipeline)) == ({"resolved"}, [("approved", "pat")])
    assert pipeline.sql("SELECT state FROM proposals") == [("admitted",)]
    assert {"security:approval:requested", "security:approval:granted"} <= set(tags(pipeline))
    assert {"approval.requested", "approval.approved", "conflict.resolved", "artifact.updated"} <= set(events(pipeline))


def test_what_a_person_denies_is_closed(pipeline: Pipeline, project: str) -> None:
    _, approval = escalated(pipeline, project)

    _, verdict, result = decide(pipeline, answer(project, approval["id"], "deny", reason="not this"))[0]

    assert (verdict, result["proposal"]["state"]) == ("approved", "denied")
    assert content(pipeline) == {"a": 2, "b": 1}
    assert (set(conflict_states(pipeline)), approvals(pipeline)) == ({"resolved"}, [("denied", "pat")])
    assert pipeline.sql("SELECT state FROM proposals") == [("denied",)]
    assert "security:approval:refused" in tags(pipeline)
    assert pipeline.sql("SELECT DISTINCT resolution FROM conflicts") == [("deny",)]


def test_nobody_approves_what_they_wrote(pipeline: Pipeline, project: str) -> None:
    _, approval = escalated(pipeline, project)
    for author in ("bob", "bob/helper"):
        state, _, error = decide(pipeline, answer(project, approval["id"], by=author))[0]
        assert (state, error["code"]) == ("failed", "forbidden")
    assert approvals(pipeline) == [("open", None)]
    assert decide(pipeline, answer(project, approval["id"], by="bobby"))[0][1] == "approved"


@pytest.mark.parametrize("who", ["eve", "eve/helper"])
def test_nobody_approves_what_they_escalated_but_who_could_override_it(
    pipeline: Pipeline, project: str, who: str
) -> None:
    """Otherwise whoever may resolve and answer could override, alone and without the scope for it."""
    _, approval = escalated(pipeline, project)
    state, _, error = decide(pipeline, answer(project, approval["id"], by=who))[0]
    assert (state, error["code"]) == ("failed", "forbidden")
    assert "conflicts:override" in error["message"]
    assert approvals(pipeline) == [("open", None)]

    both = ["approvals:answer", "conflicts:override"]
    may = ask(project, "approval.answer", who, approval=approval["id"], answer="approve", authority=both)
    assert decide(pipeline, may)[0][1] == "approved"


def test_whoever_escalated_may_take_it_back_by_denying(pipeline: Pipeline, project: str) -> None:
    _, approval = escalated(pipeline, project)
    assert decide(pipeline, answer(project, approval["id"], "deny", by="eve"))[0][1] == "approved"
    assert approvals(pipeline) == [("denied", "eve")]


def test_answering_needs_the_scope_that_the_approval_names(pipeline: Pipeline, project: str) -> None:
    _, approval = escalated(pipeline, project)
    state, _, error = decide(pipeline, answer(project, approval["id"], scope="artifacts:write"))[0]
    assert (state, error["code"]) == ("failed", "forbidden")


def test_an_approval_of_other_content_is_refused(pipeline: Pipeline, project: str) -> None:
    _, approval = escalated(pipeline, project)
    other = "0" * 64
    state, _, error = decide(pipeline, answer(project, approval["id"], content_hash=other))[0]
    assert (state, error["code"]) == ("failed", "precondition_failed")
    shown = answer(project, approval["id"], content_hash=approval["content_hash"])
    assert decide(pipeline, shown)[0][1] == "approved"


def test_a_proposal_that_is_not_what_was_shown_is_not_admitted(pipeline: Pipeline, project: str) -> None:
    """Whatever changes the kept declaration behind the engine's back, the hash holds."""
    _, approval = escalated(pipeline, project)
    pipeline.change(
        "UPDATE requests SET payload = replace(payload, '\"a\":9', '\"a\":8') "
        "WHERE id = (SELECT request_id FROM proposals)"
    )
    state, _, error = decide(pipeline, answer(project, approval["id"]))[0]
    assert (state, error["code"]) == ("failed", "precondition_failed")
    assert content(pipeline) == {"a": 2, "b": 1}


def test_an_approval_is_for_the_head_that_was_there(pipeline: Pipeline, project: str) -> None:
    conflict, approval = escalated(pipeline, project)
    decide(pipeline, declared(project, "x", {"a": 3, "b": 1}, 2))

    state, _, error = decide(pipeline, answer(project, approval["id"]))[0]
    assert (state, error["code"]) == ("failed", "precondition_failed")
    assert "from version 2 to 3" in error["message"]

    again = decide(pipeline, resolution(project, conflict, "escalate"))[0][2]["approval"]
    assert again["id"] != approval["id"]
    assert approvals(pipeline) == [("withdrawn", "eve"), ("open", None)]
    assert decide(pipeline, answer(project, again["id"]))[0][2]["artifact"]["version"] == 4


def test_an_approval_does_not_cover_what_came_up_since(pipeline: Pipeline, project: str) -> None:
    decide(pipeline, declared(project, "d", 1))
    body = declared(project, "y", 1, depends_on=["gone", "d"], by="bob")
    _, approval = escalated(pipeline, project, body)
    decide(pipeline, declared(project, "y", 0, by="eve"), declared(project, "d", 2, 1, depends_on=["y"]))

    state, _, error = decide(pipeline, answer(project, approval["id"]))[0]
    assert (state, error["code"]) == ("failed", "precondition_failed")


def test_escalating_twice_asks_once(pipeline: Pipeline, project: str) -> None:
    conflict, approval = escalated(pipeline, project)
    again = decide(pipeline, resolution(project, conflict, "escalate"))[0][2]["approval"]
    assert again == approval
    assert len(approvals(pipeline)) == 1


@pytest.mark.parametrize("word", ["approve", "deny"])
def test_an_answer_is_given_once(pipeline: Pipeline, project: str, word: str) -> None:
    _, approval = escalated(pipeline, project)
    answers = decide(pipeline, *(answer(project, approval["id"], word) for _ in range(3)))
    assert [state for state, _, _ in answers] == ["succeeded", "failed", "failed"]
    assert {error["code"] for _, _, error in answers[1:]} == {"already_answered"}


def test_nobody_can_answer_after_the_time_and_the_conflict_is_open_again(pipeline: Pipeline, project: str) -> None:
    conflict, approval = escalated(pipeline, project, expires_in_s=60)
    schedules = Schedules(pipeline.executor, pipeline.intake, pipeline.bell, idempotency_days=7)
    schedules.fire("sweep", 1)
    pipeline.settle_all()
    assert approvals(pipeline) == [("open", None)]

    pipeline.clock.advance(61)
    late = decide(pipeline, answer(project, approval["id"]))[0]
    assert (late[0], late[2]["code"]) == ("failed", "approval_expired")
    for _ in range(3):
        pipeline.clock.advance(5)
        schedules.fire("sweep", 1)
    pipeline.settle_all()

    assert (approvals(pipeline), set(conflict_states(pipeline))) == ([("expired", "metaqore")], {"open"})
    assert pipeline.sql("SELECT count(*) FROM requests WHERE kind = 'approval.expire'") == [(1,)]
    assert "approval.expired" in events(pipeline)
    renewed = decide(pipeline, resolution(project, conflict, "escalate"))[0][2]["approval"]
    assert decide(pipeline, answer(project, renewed["id"]))[0][1] == "approved"


def test_who_resolves_it_otherwise_takes_the_question_back(pipeline: Pipeline, project: str) -> None:
    conflict, approval = escalated(pipeline, project)
    assert decide(pipeline, resolution(project, conflict, "override"))[0][1] == "approved"
    assert approvals(pipeline) == [("withdrawn", "eve")]
    assert decide(pipeline, answer(project, approval["id"]))[0][2]["code"] == "already_answered"


def test_an_author_withdraws_what_is_blocked_and_nobody_else_does(pipeline: Pipeline, project: str) -> None:
    _, approval = escalated(pipeline, project)
    proposal = approval["subject"]

    foreign = decide(pipeline, ask(project, "proposal.withdraw", "eve", proposal=proposal))[0]
    assert (foreign[0], foreign[2]["code"]) == ("failed", "forbidden")
    own = decide(pipeline, ask(project, "proposal.withdraw", "bob", proposal=proposal, reason="wrong"))[0]
    assert (own[1], own[2]["proposal"]["state"]) == ("approved", "withdrawn")

    assert pipeline.sql("SELECT state FROM proposals") == [("withdrawn",)]
    assert (approvals(pipeline), set(conflict_states(pipeline))) == ([("withdrawn", "bob")], {"resolved"})
    assert {"proposal.withdrawn", "approval.withdrawn"} <= set(events(pipeline))
    assert decide(pipeline, ask(project, "proposal.withdraw", "bob", proposal=proposal))[0][0] == "failed"


def test_other_work_goes_on_around_an_escalated_conflict(pipeline: Pipeline, project: str) -> None:
    escalated(pipeline, project)
    answers = decide(pipeline, declared(project, "y", 1), declared(project, "x", {"a": 3, "b": 1}, 2, "ann"))
    assert [verdict for _, verdict, _ in answers] == ["approved", "approved"]


def test_a_feature_can_ask_about_a_subject_of_its_own(pipeline: Pipeline) -> None:
    """What SecureGateway needs for require_approval: a kind, a subject, a hash and a scope."""
    payload = {"subject_kind": "llm.generate", "subject": "req_1", "content_hash": "a" * 64, "author": "bob",
               "needed_scope": "security:approve", "reason": "CRITICAL data"}  # fmt: skip
    asked = Submission(organization=ORGANIZATION, project=None, principal="metaqore", kind="approval.open",
                       payload=payload)  # fmt: skip
    approval = decide(pipeline, asked)[0][2]["approval"]

    wrong, right = (
        Submission(organization=ORGANIZATION, project=None, principal="pat", kind="approval.answer",
                   payload={"approval": approval["id"], "answer": "approve", "authority": [scope]})
        for scope in ("approvals:answer", "security:approve")
    )  # fmt: skip
    assert decide(pipeline, wrong)[0][2]["code"] == "forbidden"
    assert decide(pipeline, right)[0][1] == "approved"
    assert approvals(pipeline) == [("approved", "pat")]


def test_an_approval_of_another_organization_does_not_exist(pipeline: Pipeline, project: str) -> None:
    _, approval = escalated(pipeline, project)
    asked = answer(project, approval["id"])
    foreign = Submission(organization="evil", project=project, principal="eve", kind=asked.kind, payload=asked.payload)
    request = pipeline.intake.submit([foreign]).ids[0]
    pipeline.executor.drain("psmp")
    assert pipeline.sql("SELECT state FROM requests WHERE id = ?", request) == [("failed",)]
    assert approvals(pipeline) == [("open", None)]
