"""Each way out of a conflict has its effect, once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metaqore.messages import Submission
from tests.contract.pipeline import ORGANIZATION, Pipeline
from tests.contract.test_psmp_modes import declared


def resolution(project: str, conflict: str, strategy: str, *, by: str = "eve", override: bool = True) -> Submission:
    scopes = ["conflicts:override"] if override else []
    return Submission(
        organization=ORGANIZATION, project=project, principal=by, kind="conflict.resolve",
        payload={"conflict": conflict, "strategy": strategy, "authority": scopes,
                 "reason": "because" if strategy == "override" else ""},
    )  # fmt: skip


def decide(pipeline: Pipeline, *asked: Submission) -> list[Any]:
    """Submit and decide in one batch; return each request's (state, verdict, result or error)."""
    ids = pipeline.intake.submit(asked).ids
    pipeline.executor.drain("psmp")
    rows = [pipeline.row(request) for request in ids]
    return [(row["state"], row["verdict"], json.loads(row["result"] or row["error"])) for row in rows]


def blocked(pipeline: Pipeline, project: str, asked: Submission) -> list[str]:
    """Return the ids of the conflicts that block ``asked``."""
    _, verdict, result = decide(pipeline, asked)[0]
    assert verdict == "blocked"
    assert result["blocking_report"]["project"] == project
    return [conflict["id"] for conflict in result["blocking_report"]["conflicts"]]


def content(pipeline: Pipeline, name: str = "x") -> Any:
    rows = pipeline.sql(
        "SELECT v.content FROM artifacts a JOIN artifact_versions v ON v.artifact = a.id AND v.version = a.head "
        "WHERE a.name = ?", name,
    )  # fmt: skip
    return json.loads(rows[0][0])


def conflict_states(pipeline: Pipeline) -> list[str]:
    """Return the states of all conflicts but those that say where a merge fails: they go with a stale version."""
    return sorted(row[0] for row in pipeline.sql("SELECT state FROM conflicts WHERE class <> 'content_conflict'"))


@pytest.fixture
def project(pipeline: Pipeline) -> str:
    """A strict project with x at version 2."""
    made = pipeline.project("strict")
    decide(pipeline, declared(made, "x", {"a": 1, "b": 1}), declared(made, "x", {"a": 2, "b": 1}, 1))
    return made


@pytest.mark.parametrize("strategy", ["retry", "merge"])
def test_a_stale_change_that_does_not_collide_is_merged(pipeline: Pipeline, project: str, strategy: str) -> None:
    conflict = blocked(pipeline, project, declared(project, "x", {"a": 1, "b": 3}, 1, "bob"))[0]
    state, verdict, result = decide(pipeline, resolution(project, conflict, strategy))[0]
    assert (state, verdict, result["artifact"]["version"]) == ("succeeded", "approved", 3)
    assert content(pipeline) == {"a": 2, "b": 3}
    assert result["provenance"]["parents"][0]["version"] == 2
    assert conflict_states(pipeline) == ["resolved"]
    assert pipeline.sql("SELECT state FROM proposals") == [("admitted",)]
    assert pipeline.sql("SELECT created_by FROM artifact_versions WHERE version = 3") == [("bob",)]
    types = [row[0] for row in pipeline.sql("SELECT type FROM events ORDER BY seq")]
    assert types[-2:] == ["artifact.updated", "conflict.resolved"]


@pytest.mark.parametrize("strategy", ["retry", "merge"])
def test_a_change_that_collides_stays_blocked_and_is_kept_once(pipeline: Pipeline, project: str, strategy: str) -> None:
    conflict = blocked(pipeline, project, declared(project, "x", {"a": 9, "b": 1}, 1, "bob"))[0]
    state, verdict, result = decide(pipeline, resolution(project, conflict, strategy))[0]
    assert (state, verdict) == ("succeeded", "blocked")
    assert result["blocking_report"]["merge_conflicts"]
    assert conflict_states(pipeline) == ["open"]
    assert pipeline.sql("SELECT state FROM proposals") == [("blocked",)]
    assert content(pipeline) == {"a": 2, "b": 1}


def test_override_admits_over_the_conflict_and_keeps_the_reason(pipeline: Pipeline, project: str) -> None:
    conflict = blocked(pipeline, project, declared(project, "x", {"a": 9}, 1, "bob"))[0]
    state, verdict, result = decide(pipeline, resolution(project, conflict, "override"))[0]
    assert (state, verdict, result["provenance"]["reason"]) == ("succeeded", "approved", "because")
    assert content(pipeline) == {"a": 9}
    assert conflict_states(pipeline) == ["resolved"]


def test_override_needs_its_scope(pipeline: Pipeline, project: str) -> None:
    conflict = blocked(pipeline, project, declared(project, "x", {"a": 9}, 1, "bob"))[0]
    state, _, error = decide(pipeline, resolution(project, conflict, "override", override=False))[0]
    assert (state, error["code"]) == ("failed", "forbidden")
    assert content(pipeline) == {"a": 2, "b": 1}


def test_retry_admits_once_the_dependency_is_there(pipeline: Pipeline, project: str) -> None:
    conflict = blocked(pipeline, project, declared(project, "y", 1, depends_on=["z"]))[0]
    assert decide(pipeline, resolution(project, conflict, "retry"))[0][1] == "blocked"
    decide(pipeline, declared(project, "z", 1))
    assert decide(pipeline, resolution(project, conflict, "retry"))[0][1] == "approved"
    assert pipeline.sql("SELECT count(*) FROM artifact_edges") == [(1,)]


def test_what_comes_up_while_it_stays_blocked_is_a_conflict_of_the_same_proposal(
    pipeline: Pipeline, project: str
) -> None:
    decide(pipeline, declared(project, "y", 1))
    first = blocked(pipeline, project, declared(project, "z", 1, None, "bob", ["y", "gone"]))
    [(y,)] = pipeline.sql("SELECT id FROM artifacts WHERE name = 'y'")
    decide(pipeline, Submission(organization=ORGANIZATION, project=project, principal="ann", kind="artifact.transition",
                                payload={"artifact": y, "to": "deprecated"}))  # fmt: skip

    told = [decide(pipeline, resolution(project, first[0], "retry"))[0] for _ in range(2)]

    reports = [result["blocking_report"]["conflicts"] for _, _, result in told]
    rows = pipeline.sql("SELECT id, class, state, proposal FROM conflicts ORDER BY id")
    [(proposal,)] = pipeline.sql("SELECT id FROM proposals")
    assert [row[1:] for row in rows] == [
        ("missing_dependency", "open", proposal), ("deprecated_dependency", "open", proposal)
    ]  # fmt: skip
    assert [sorted(each["id"] for each in report) for report in reports] == [[row[0] for row in rows]] * 2
    noted = "SELECT count(*) FROM audit_entries WHERE tag = 'psmp:conflict:opened'"
    detected = "SELECT count(*) FROM events WHERE type = 'conflict.detected'"
    assert (pipeline.sql(noted), pipeline.sql(detected)) == ([(2,)], [(2,)])
    assert decide(pipeline, resolution(project, rows[1][0], "override"))[0][1] == "approved"
    assert conflict_states(pipeline) == ["resolved", "resolved"]


def test_escalating_marks_the_conflict_and_it_can_still_be_resolved(pipeline: Pipeline, project: str) -> None:
    conflict = blocked(pipeline, project, declared(project, "x", {"a": 9}, 1, "bob"))[0]
    assert decide(pipeline, resolution(project, conflict, "escalate"))[0][1] == "approved"
    assert conflict_states(pipeline) == ["escalated"]
    assert pipeline.sql("SELECT type FROM events ORDER BY seq DESC LIMIT 1") == [("conflict.escalated",)]
    assert decide(pipeline, resolution(project, conflict, "override"))[0][1] == "approved"
    assert conflict_states(pipeline) == ["resolved"]


def test_one_resolution_closes_every_conflict_of_its_proposal(pipeline: Pipeline, project: str) -> None:
    conflicts = blocked(pipeline, project, declared(project, "x", 1, 1, "bob", ["gone"]))
    assert len(conflicts) == 3
    result = decide(pipeline, resolution(project, conflicts[0], "override"))[0][2]
    assert sorted(result["resolved"]) == sorted(conflicts)
    assert conflict_states(pipeline) == ["resolved", "resolved"]
    assert decide(pipeline, resolution(project, conflicts[1], "override"))[0][0] == "failed"


def test_a_conflict_of_another_project_or_organization_does_not_exist(pipeline: Pipeline, project: str) -> None:
    conflict = blocked(pipeline, project, declared(project, "x", 1, 1, "bob"))[0]
    other = pipeline.project("strict", "other")
    assert decide(pipeline, resolution(other, conflict, "override"))[0][0] == "failed"
    asked = resolution(project, conflict, "override")
    foreign = Submission(organization="evil", project=project, principal="eve", kind=asked.kind, payload=asked.payload)
    request = pipeline.intake.submit([foreign]).ids[0]
    pipeline.executor.drain("psmp")
    assert pipeline.sql("SELECT state FROM requests WHERE id = ?", request) == [("failed",)]
    assert conflict_states(pipeline) == ["open"]


# --- several in one batch: each must see what the one before it did --------------------------------------------------


def test_two_resolutions_of_one_conflict_in_one_batch_have_one_effect(pipeline: Pipeline, project: str) -> None:
    conflict = blocked(pipeline, project, declared(project, "x", {"a": 9}, 1, "bob"))[0]
    answers = decide(pipeline, *(resolution(project, conflict, "override") for _ in range(3)))
    assert [answer[0] for answer in answers] == ["succeeded", "failed", "failed"]
    assert pipeline.sql("SELECT count(*) FROM artifact_versions") == [(3,)]


def test_escalating_after_resolving_in_one_batch_is_refused(pipeline: Pipeline, project: str) -> None:
    conflict = blocked(pipeline, project, declared(project, "x", {"a": 9}, 1, "bob"))[0]
    answers = decide(pipeline, resolution(project, conflict, "override"), resolution(project, conflict, "escalate"))
    assert [answer[0] for answer in answers] == ["succeeded", "failed"]
    assert conflict_states(pipeline) == ["resolved"]


def test_two_resolutions_in_one_batch_cannot_close_a_cycle_together(pipeline: Pipeline, project: str) -> None:
    decide(pipeline, declared(project, "y", 1), declared(project, "y", 2, 1))
    one = blocked(pipeline, project, declared(project, "x", {"a": 3, "b": 1}, 1, depends_on=["y"]))[0]
    two = blocked(pipeline, project, declared(project, "y", 3, 1, depends_on=["x"]))[0]
    answers = decide(pipeline, *(resolution(project, conflict, "override") for conflict in (one, two)))
    assert [answer[1] for answer in answers] == ["approved", "approved"]
    assert pipeline.sql("SELECT count(*) FROM artifact_edges") == [(1,)]
    pipeline.check_ranks()


def test_a_declaration_and_a_resolution_of_one_artifact_in_one_batch_get_versions_in_order(
    pipeline: Pipeline, project: str
) -> None:
    conflict = blocked(pipeline, project, declared(project, "x", {"a": 9}, 1, "bob"))[0]
    answers = decide(
        pipeline, declared(project, "x", {"a": 3}, 2), resolution(project, conflict, "override"),
        declared(project, "x", {"a": 4}, 4),
    )  # fmt: skip
    assert [answer[2]["artifact"]["version"] for answer in answers] == [3, 4, 5]
    assert content(pipeline) == {"a": 4}


@pytest.mark.parametrize("strategy", ["override", "retry"])
def test_a_conflict_that_is_new_when_it_is_resolved_is_kept_with_the_artifact(
    pipeline: Pipeline, project: str, strategy: str
) -> None:
    change = {"a": 9, "b": 1} if strategy == "override" else {"a": 1, "b": 3}
    on = {"type": "doc", "name": "y"}
    decide(pipeline, declared(project, "y", 1))
    conflict = blocked(pipeline, project, declared(project, "x", change, 1, "bob", [on]))[0]
    artifact = pipeline.sql("SELECT id FROM artifacts WHERE name = 'y'")[0][0]
    move = {"artifact": artifact, "to": "deprecated"}
    decide(pipeline, Submission(organization=ORGANIZATION, project=project, principal="ann",
                                kind="artifact.transition", payload=move))  # fmt: skip

    state, verdict, result = decide(pipeline, resolution(project, conflict, strategy))[0]

    assert (state, verdict) == ("succeeded", "approved")
    assert [c["class"] for c in result["conflicts"]] == ["deprecated_dependency"]
    kept = pipeline.sql("SELECT id, artifact, state, resolution FROM conflicts WHERE class = 'deprecated_dependency'")
    assert kept == [(result["conflicts"][0]["id"], result["artifact"]["id"], "recorded", "let_through")]
    assert pipeline.sql("SELECT count(*) FROM conflicts WHERE state = 'open'") == [(0,)]
