"""What each mode makes of each conflict, decided one by one or all in one batch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metaqore.messages import Submission
from tests.contract.pipeline import ORGANIZATION, Pipeline

MODES = ["strict", "adaptive", "playground"]
BATCHED = [False, True]


def declared(
    project: str, name: str, content: Any, base: int | None = None, by: str = "ann", depends_on: Any = ()
) -> Submission:
    """Return a declaration; dependencies are names."""
    return Submission(
        organization=ORGANIZATION, project=project, principal=by, kind="artifact.declare",
        payload={"type": "doc", "name": name, "content": content, "base_version": base,
                 "depends_on": [{"type": "doc", "name": d} if isinstance(d, str) else d for d in depends_on]},
    )  # fmt: skip


def decided(pipeline: Pipeline, asked: list[Submission], batched: bool) -> list[tuple[str, list[str]]]:
    """Submit and decide; return (verdict, classes of its conflicts) of each."""
    ids: list[str] = []
    for group in [asked] if batched else [[one] for one in asked]:
        ids += pipeline.intake.submit(group).ids
        pipeline.executor.drain("psmp")
    found = []
    for request in ids:
        rows = pipeline.sql("SELECT class FROM conflicts WHERE request_id = ? ORDER BY class", request)
        found.append((str(pipeline.row(request)["verdict"]), [row[0] for row in rows]))
    return found


@pytest.fixture(params=BATCHED, ids=["one by one", "in one batch"])
def batched(request: Any) -> bool:
    return bool(request.param)


@pytest.mark.parametrize(
    ("mode", "verdict"), [("strict", "blocked"), ("adaptive", "approved"), ("playground", "approved")]
)
def test_version_mismatch_by_the_same_author(pipeline: Pipeline, mode: str, verdict: str, batched: bool) -> None:
    p = pipeline.project(mode)
    asked = [declared(p, "x", "one\n\n\ntwo\n"), declared(p, "x", "ONE\n\n\ntwo\n", 1),
             declared(p, "x", "one\n\n\nTWO\n", 1)]  # fmt: skip
    assert decided(pipeline, asked, batched) == [
        ("approved", []), ("approved", []), (verdict, ["version_mismatch"])
    ]  # fmt: skip
    content = pipeline.sql("SELECT content FROM artifact_versions ORDER BY version DESC")[0][0]
    expected = {"strict": "ONE\n\n\ntwo\n", "adaptive": "ONE\n\n\nTWO\n", "playground": "one\n\n\nTWO\n"}
    assert json.loads(content) == expected[mode]


@pytest.mark.parametrize(
    ("mode", "verdict"), [("strict", "blocked"), ("adaptive", "approved"), ("playground", "approved")]
)
def test_parallel_creation_that_merges_cleanly(pipeline: Pipeline, mode: str, verdict: str, batched: bool) -> None:
    p = pipeline.project(mode)
    asked = [declared(p, "x", {"a": 1, "b": 1}), declared(p, "x", {"a": 2, "b": 1}, 1, "bob"),
             declared(p, "x", {"a": 1, "b": 3}, 1, "ann")]  # fmt: skip
    assert decided(pipeline, asked, batched)[2] == (verdict, ["parallel_creation"])
    content = pipeline.sql("SELECT content FROM artifact_versions ORDER BY version DESC")[0][0]
    expected = {"strict": {"a": 2, "b": 1}, "adaptive": {"a": 2, "b": 3}, "playground": {"a": 1, "b": 3}}
    assert json.loads(content) == expected[mode]


@pytest.mark.parametrize(
    ("mode", "verdict"), [("strict", "blocked"), ("adaptive", "blocked"), ("playground", "approved")]
)
def test_parallel_creation_of_different_things_under_one_name(
    pipeline: Pipeline, mode: str, verdict: str, batched: bool
) -> None:
    p = pipeline.project(mode)
    asked = [declared(p, "x", "ann's", by="ann"), declared(p, "x", "bob's", by="bob")]
    assert decided(pipeline, asked, batched) == [("approved", []), (verdict, ["parallel_creation"])]


@pytest.mark.parametrize(
    ("mode", "verdict"), [("strict", "blocked"), ("adaptive", "blocked"), ("playground", "approved")]
)
@pytest.mark.parametrize("dependency", ["nowhere", {"type": "doc", "name": "y", "version": 2}, {"artifact": "art_0"}])
def test_missing_dependency(pipeline: Pipeline, mode: str, verdict: str, batched: bool, dependency: Any) -> None:
    p = pipeline.project(mode)
    asked = [declared(p, "y", 1), declared(p, "x", 1, depends_on=[dependency, "y"])]
    assert decided(pipeline, asked, batched) == [("approved", []), (verdict, ["missing_dependency"])]
    kept = pipeline.sql("SELECT count(*) FROM artifact_edges")[0][0]
    assert kept == (1 if mode == "playground" else 0)


@pytest.mark.parametrize(
    ("mode", "verdict"), [("strict", "blocked"), ("adaptive", "blocked"), ("playground", "approved")]
)
@pytest.mark.parametrize("length", [1, 3])
def test_circular_dependency(pipeline: Pipeline, mode: str, verdict: str, batched: bool, length: int) -> None:
    p = pipeline.project(mode)
    names = [f"n{i}" for i in range(length)]
    asked = [declared(p, name, 1, depends_on=names[i - 1 : i]) for i, name in enumerate(names)]
    asked.append(declared(p, names[0], 2, 1, depends_on=[names[-1]]))
    answers = decided(pipeline, asked, batched)
    assert answers == [("approved", [])] * length + [(verdict, ["circular_dependency"])]


def test_a_dependency_in_another_project_is_missing(pipeline: Pipeline, batched: bool) -> None:
    p, q = pipeline.project(name="p"), pipeline.project(name="q")
    assert decided(pipeline, [declared(q, "y", 1)], batched) == [("approved", [])]
    artifact = pipeline.sql("SELECT id FROM artifacts")[0][0]
    asked = [declared(p, "x", 1, depends_on=["y"]), declared(p, "z", 1, depends_on=[{"artifact": artifact}])]
    assert decided(pipeline, asked, batched) == [("blocked", ["missing_dependency"])] * 2


def test_several_conflicts_are_reported_together(pipeline: Pipeline, batched: bool) -> None:
    p = pipeline.project("strict")
    asked = [declared(p, "x", 1), declared(p, "x", 2, None, "bob", depends_on=["gone", "x"])]
    expected = ["circular_dependency", "missing_dependency", "parallel_creation"]
    assert decided(pipeline, asked, batched)[1] == ("blocked", expected)


def test_an_identical_repeat_is_let_through_where_the_mode_may_merge(pipeline: Pipeline, batched: bool) -> None:
    p = pipeline.project("adaptive")
    asked = [declared(p, "x", "same", by="ann"), declared(p, "x", "same", by="bob")]
    assert decided(pipeline, asked, batched)[1] == ("approved", ["parallel_creation"])


def test_a_chain_of_merges_within_one_batch_loses_no_line(pipeline: Pipeline, batched: bool) -> None:
    p = pipeline.project("adaptive")
    lines = [f"{n}\n\n" for n in range(20)]
    asked = [declared(p, "x", "".join(lines))]
    for n in range(20):
        changed = [*lines]
        changed[n] = f"{n} by agent {n}\n\n"
        asked.append(declared(p, "x", "".join(changed), 1, f"agent-{n}"))
    assert {verdict for verdict, _ in decided(pipeline, asked, batched)} == {"approved"}
    content = json.loads(pipeline.sql("SELECT content FROM artifact_versions ORDER BY version DESC")[0][0])
    assert content == "".join(f"{n} by agent {n}\n\n" for n in range(20))


def test_conflicts_are_stored_with_the_proposal_that_they_block(pipeline: Pipeline) -> None:
    p = pipeline.project("strict")
    decided(pipeline, [declared(p, "x", 1), declared(p, "x", 2, None, "bob", ["gone"])], batched=True)
    proposal = pipeline.sql("SELECT id, state, name, created_by, artifact FROM proposals")
    assert [row[1:4] for row in proposal] == [("blocked", "x", "bob")]
    assert proposal[0][4] == pipeline.sql("SELECT id FROM artifacts")[0][0]
    rows = pipeline.sql(
        "SELECT class, severity, strategy, mode, state, proposal, resolution FROM conflicts ORDER BY class"
    )
    assert rows == [
        ("missing_dependency", "high", "retry", "strict", "open", proposal[0][0], None),
        ("parallel_creation", "high", "merge", "strict", "open", proposal[0][0], None),
    ]


def test_a_blocked_proposal_and_its_conflicts_are_one_commit(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    from metaqore import failpoints

    p = pipeline.project("strict")
    decided(pipeline, [declared(p, "x", 1)], batched=True)
    request = pipeline.intake.submit([declared(p, "x", 2, None, "bob")]).ids[0]
    for place in ("worker.mid_work", "worker.in_finish_tx"):
        monkeypatch.setattr(failpoints, "_active", failpoints._parse(f"{place}:raise"))
        with pytest.raises(failpoints.FailpointError):
            pipeline.executor.drain("psmp")
        counts = [pipeline.sql(f"SELECT count(*) FROM {table}")[0][0] for table in ("proposals", "conflicts")]
        assert (pipeline.states([request]), counts) == (["accepted"], [0, 0])
    monkeypatch.setattr(failpoints, "_active", {})
    pipeline.executor.drain("psmp")
    counts = [pipeline.sql(f"SELECT count(*) FROM {table}")[0][0] for table in ("proposals", "conflicts")]
    assert (pipeline.states([request]), counts) == (["succeeded"], [1, 1])


@pytest.mark.parametrize("state", ["completed", "archived"])
def test_a_closed_project_admits_nothing_more(pipeline: Pipeline, state: str) -> None:
    p = pipeline.project("playground")
    for to in ("in_progress", state):
        pipeline.executor.run_now(pipeline.submission("project.save", None, id=p, state=to))
    request = pipeline.intake.submit([declared(p, "x", 1)]).ids[0]
    pipeline.executor.drain("psmp")
    assert pipeline.states([request]) == ["failed"]


def test_a_mode_change_counts_from_the_next_decision(pipeline: Pipeline) -> None:
    p = pipeline.project("strict")
    assert decided(pipeline, [declared(p, "x", 1), declared(p, "x", 2)], True)[1][0] == "blocked"
    pipeline.executor.run_now(pipeline.submission("project.save", None, id=p, mode="playground"))
    assert decided(pipeline, [declared(p, "x", 3)], True)[0][0] == "approved"


def resolved(pipeline: Pipeline, request: str) -> tuple[str, dict[str, Any]]:
    """Return what became of the only conflict of a request, and the body of the version that it made."""
    how = pipeline.sql("SELECT resolution FROM conflicts WHERE request_id = ?", request)
    body = pipeline.sql("SELECT body FROM artifact_versions WHERE request_id = ?", request)
    return how[0][0], json.loads(body[0][0])


@pytest.mark.parametrize(
    ("base", "theirs", "ours", "how"),
    [
        ({"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 2}, "rebased"),
        ({"a": {"x": 1, "y": 1}}, {"a": {"x": 2, "y": 1}}, {"a": {"x": 1, "y": 2}}, "merged"),
        ({"files": {"x": "1\n", "y": "1\n"}}, {"files": {"x": "2\n", "y": "1\n"}}, {"files": {"x": "1\n", "y": "2\n"}},
         "rebased"),
        ({"files": {"x": "1\n\n\n1\n"}}, {"files": {"x": "2\n\n\n1\n"}}, {"files": {"x": "1\n\n\n2\n"}}, "merged"),
        ("1\n\n\n1\n", "2\n\n\n1\n", "1\n\n\n1\n", "rebased"), ("1\n\n\n1\n", "2\n\n\n1\n", "1\n\n\n2\n", "merged"),
    ],
)  # fmt: skip
def test_a_change_that_touches_nothing_the_head_has_changed_is_rebased_and_carries_both_parents(
    pipeline: Pipeline, batched: bool, base: Any, theirs: Any, ours: Any, how: str
) -> None:
    p = pipeline.project("adaptive")
    asked = [declared(p, "x", base), declared(p, "x", theirs, 1, "bob"), declared(p, "x", ours, 1)]
    assert [verdict for verdict, _ in decided(pipeline, asked, batched)] == ["approved"] * 3
    last = pipeline.sql("SELECT request_id FROM artifact_versions ORDER BY version DESC LIMIT 1")[0][0]
    found, body = resolved(pipeline, last)
    parents = body["provenance"]["parents"]
    assert (found, parents[0]["version"], parents[1]["base_version"]) == (how, 2, 1)


def test_a_merge_keeps_what_both_sides_depend_on(pipeline: Pipeline, batched: bool) -> None:
    p = pipeline.project("adaptive")
    asked = [
        declared(p, "a", 1), declared(p, "b", 1), declared(p, "c", 1),
        declared(p, "x", {"m": 1, "n": 1}, depends_on=["a"]),
        declared(p, "x", {"m": 2, "n": 1}, 1, "bob", ["a", "b"]),
        declared(p, "x", {"m": 1, "n": 2}, 1, "ann", ["a", "c"]),
    ]  # fmt: skip
    assert {verdict for verdict, _ in decided(pipeline, asked, batched)} == {"approved"}
    edges = pipeline.sql("SELECT d.name FROM artifact_edges e JOIN artifacts d ON d.id = e.depends_on ORDER BY d.name")
    assert [row[0] for row in edges] == ["a", "b", "c"]
    body = json.loads(pipeline.sql("SELECT body FROM artifact_versions ORDER BY version DESC LIMIT 1")[0][0])
    assert [each["name"] for each in body["depends_on"]] == ["a", "c", "b"]


def test_what_both_sides_declared_differently_collides_though_the_contents_do_not(
    pipeline: Pipeline, batched: bool
) -> None:
    p = pipeline.project("adaptive")
    pin = [{"type": "doc", "name": "a", "version": version} for version in (1, 2, ">=1")]
    asked = [
        declared(p, "a", 1), declared(p, "a", 2, 1), declared(p, "x", {"m": 1, "n": 1}, depends_on=[pin[0]]),
        declared(p, "x", {"m": 2, "n": 1}, 1, "bob", [pin[1]]), declared(p, "x", {"m": 1, "n": 2}, 1, "ann", [pin[2]]),
    ]  # fmt: skip
    assert decided(pipeline, asked, batched)[-1] == ("blocked", ["content_conflict", "parallel_creation"])
    rows = pipeline.sql("SELECT evidence FROM conflicts WHERE class = 'content_conflict'")
    assert json.loads(rows[0][0])["pointer"] == "/depends_on/0"


def test_a_merge_is_as_sensitive_as_what_both_sides_were_made_from(pipeline: Pipeline, batched: bool) -> None:
    p = pipeline.project("adaptive")
    secret = declared(p, "s", 1)
    secret.payload["label"] = "CRITICAL"  # type: ignore[index]
    asked = [
        secret, declared(p, "x", {"m": 1, "n": 1}), declared(p, "x", {"m": 2, "n": 1}, 1, "bob", ["s"]),
        declared(p, "x", {"m": 1, "n": 2}, 1),
    ]  # fmt: skip
    assert {verdict for verdict, _ in decided(pipeline, asked, batched)} == {"approved"}
    assert pipeline.sql("SELECT label FROM artifacts WHERE name = 'x'") == [("CRITICAL",)]
