"""What a content holds raises the label of its artifact, in the transaction that admits it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract.deciding import asked, decide, decide_one, declared
from tests.contract.pipeline import Pipeline

TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
MAIL = "Write to maria.keller@posteo.net when it is done."


@pytest.fixture
def project(pipeline: Pipeline) -> str:
    return pipeline.project()


def labels(pipeline: Pipeline) -> dict[str, str]:
    return dict(pipeline.sql("SELECT name, label FROM artifacts"))


def recorded(pipeline: Pipeline) -> list[Any]:
    return pipeline.sql("SELECT request_id, verdict, label, policy, body FROM decisions ORDER BY id")


def test_a_secret_makes_its_artifact_critical_with_a_recorded_decision(pipeline: Pipeline, project: str) -> None:
    done = decide_one(pipeline, declared(project, "a", {"deploy": f"key {TOKEN}"}))

    assert done.verdict == "approved"
    assert done.result["artifact"]["label"] == "CRITICAL"
    assert done.result["label_raised"] == {"to": "CRITICAL", "found": ["github_token"]}
    [(request, verdict, label, policy, body)] = recorded(pipeline)
    assert (request, verdict, label, policy) == (done.id, "approved", "CRITICAL", "classification")
    assert json.loads(body)["artifact"] == done.result["artifact"]["id"]
    assert TOKEN not in body
    [(stored,)] = pipeline.sql("SELECT label FROM artifact_versions")
    assert stored == "CRITICAL"
    [(data,)] = pipeline.sql("SELECT data FROM events WHERE type = 'artifact.label_raised'")
    assert json.loads(data) == {"label": "CRITICAL"}
    entries = pipeline.sql("SELECT body FROM audit_entries WHERE tag = 'security:decision:approved'")
    assert len(entries) == 1
    assert TOKEN not in bytes(entries[0][0]).decode()


def test_only_what_holds_something_is_raised_in_a_batch(pipeline: Pipeline, project: str) -> None:
    contents = {"a": "Parse the file.", "b": MAIL, "c": {"x": 1}, "d": f"Use {TOKEN}."}

    decide(pipeline, [declared(project, name, content) for name, content in contents.items()], batched=True)

    assert labels(pipeline) == {"a": "INTERNAL", "b": "SENSITIVE", "c": "INTERNAL", "d": "CRITICAL"}
    assert len(recorded(pipeline)) == 2


def test_a_flag_raises_and_a_content_without_anything_lowers_nothing(pipeline: Pipeline, project: str) -> None:
    low, *_ = decide(
        pipeline,
        [
            declared(project, "low", MAIL, label="INTERNAL"),
            declared(project, "high", "Nothing to see.", label="CRITICAL"),
            declared(project, "same", MAIL + " Today.", label="SENSITIVE"),
        ],
    )

    assert (low.verdict, low.classes) == ("approved", [])
    assert labels(pipeline) == {"low": "SENSITIVE", "high": "CRITICAL", "same": "SENSITIVE"}
    assert [row[0] for row in recorded(pipeline)] == [low.id]


def test_what_depends_on_it_inherits_the_raised_label(pipeline: Pipeline, project: str) -> None:
    on = [{"type": "doc", "name": "a"}]

    decide(pipeline, [declared(project, "a", MAIL), declared(project, "b", "Made from a.", depends_on=on)])

    assert labels(pipeline)["b"] == "SENSITIVE"


def test_a_later_version_without_it_keeps_the_label(pipeline: Pipeline, project: str) -> None:
    decide(pipeline, [declared(project, "a", MAIL), declared(project, "a", "Gone again.", base_version=1)])

    assert labels(pipeline) == {"a": "SENSITIVE"}
    assert len(recorded(pipeline)) == 1


def test_what_was_blocked_and_comes_in_by_a_resolution_is_looked_at_too(pipeline: Pipeline, project: str) -> None:
    decide_one(pipeline, declared(project, "a", "First."))
    blocked = decide_one(pipeline, declared(project, "a", f"Use {TOKEN}.", by="eve"))
    assert blocked.verdict == "blocked"
    assert recorded(pipeline) == []

    conflict = blocked.conflicts[0]["id"]
    over = asked(project, "conflict.resolve", conflict=conflict, strategy="override", reason="because",
                 authority=["conflicts:override"])  # fmt: skip
    resolved = decide_one(pipeline, over)

    assert resolved.verdict == "approved"
    assert labels(pipeline) == {"a": "CRITICAL"}
    assert [row[0] for row in recorded(pipeline)] == [resolved.id]


def test_a_merge_keeps_what_either_side_holds(pipeline: Pipeline) -> None:
    project = pipeline.project(mode="adaptive")
    lines = [f"line {n}" for n in range(20)]
    decide_one(pipeline, declared(project, "a", "\n".join(lines)))
    theirs, ours = [*lines], [*lines]
    theirs[1], ours[18] = "changed", f"key {TOKEN}"
    decide_one(pipeline, declared(project, "a", "\n".join(theirs), base_version=1))

    merged = decide_one(pipeline, declared(project, "a", "\n".join(ours), base_version=1, by="eve"))

    assert merged.verdict == "approved"
    assert labels(pipeline) == {"a": "CRITICAL"}
    assert [row[0] for row in recorded(pipeline)] == [merged.id]


def test_a_label_that_the_content_raised_is_lowered_by_declassification_alone(pipeline: Pipeline, project: str) -> None:
    first = decide_one(pipeline, declared(project, "a", MAIL))
    artifact = first.result["artifact"]["id"]
    lower = decide_one(pipeline, declared(project, "a", "Clean now.", base_version=1, label="INTERNAL"))
    assert lower.classes == ["label_lowered"]

    assert labels(pipeline) == {"a": "SENSITIVE"}
    lowered = asked(project, "artifact.declassify", artifact=artifact, label="INTERNAL", reason="it was a test",
                    authority=["labels:declassify"])  # fmt: skip
    assert decide_one(pipeline, lowered).verdict == "approved"
    assert labels(pipeline) == {"a": "INTERNAL"}


def test_a_declassification_holds_for_what_was_looked_at_and_for_nothing_that_is_added(
    pipeline: Pipeline, project: str
) -> None:
    first = decide_one(pipeline, declared(project, "a", MAIL))
    lowered = asked(project, "artifact.declassify", artifact=first.result["artifact"]["id"], label="INTERNAL",
                    reason="a public address", authority=["labels:declassify"])  # fmt: skip
    decide_one(pipeline, lowered)
    before = len(recorded(pipeline))

    kept = [decide_one(pipeline, declared(project, "a", text, base_version=version))
            for version, text in ((2, MAIL + " Or earlier."), (3, "Again: Maria.Keller@posteo.net."))]  # fmt: skip
    assert ["label_raised" in done.result for done in kept] == [False, False]
    assert (labels(pipeline), len(recorded(pipeline))) == ({"a": "INTERNAL"}, before)

    more = MAIL + " Copy jan.vogt@posteo.net."
    raised = decide_one(pipeline, declared(project, "a", more, base_version=4))

    assert raised.result["label_raised"] == {"to": "SENSITIVE", "found": ["email"]}
    assert labels(pipeline) == {"a": "SENSITIVE"}
    assert len(json.loads(recorded(pipeline)[-1][4])["findings"]) == 1


@pytest.mark.parametrize("mode", ["adaptive", "playground"])
def test_what_a_conflict_shows_of_a_sensitive_content_is_in_no_cache(pipeline: Pipeline, mode: str) -> None:
    project = pipeline.project(mode)
    decided = {
        name: decide(pipeline, [
            declared(project, name, f"one\n{text}\ntwo\n"),
            declared(project, name, f"one\n{text} now\ntwo\n", base_version=1),
            declared(project, name, f"one\n{text} later\ntwo\n", base_version=1),
        ])[-1]
        for name, text in (("open", "the weather"), ("closed", MAIL))
    }  # fmt: skip

    finished = {done.id: done for done in pipeline.results.published}
    told = {name: finished[done.id] for name, done in decided.items()}
    assert b"the weather now" in told["open"].document and not told["open"].no_cache
    assert MAIL.encode() in told["closed"].document and told["closed"].no_cache
