"""Claims on paths and resources, held by heads and by open intents; and versions that were read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.deciding import asked, decide, decide_one, declared
from tests.contract.pipeline import Pipeline

BATCHED = [False, True]
MODES = [("strict", "blocked"), ("adaptive", "blocked"), ("playground", "approved")]


@pytest.mark.parametrize("batched", BATCHED)
@pytest.mark.parametrize(("mode", "verdict"), MODES)
def test_two_artifacts_that_claim_a_path_collide(pipeline: Pipeline, mode: str, verdict: str, batched: bool) -> None:
    p = pipeline.project(mode)
    first, second, third = decide(pipeline, [
        declared(p, "a", claims=["src/api/**"]),
        declared(p, "b", claims={"paths": ["docs/x", "src/*/routes.py"]}, by="bob"),
        declared(p, "c", claims=["lib/**", "tests/**"]),
    ], batched=batched)  # fmt: skip
    assert first.seen == third.seen == ("approved", [])
    assert second.seen == (verdict, ["claim_collision"])
    assert second.evidence["pointer"] == "/claims/paths/1"
    assert second.evidence["claim"] == "src/*/routes.py"
    (holder,) = second.evidence["holders"]
    assert (holder["title"], holder["claim"], holder["principal"]) == ("doc/a", "src/api/**", "ann")
    assert second.conflicts[0]["rule_id"] == "psmp.claim_collision.v1"
    assert second.conflicts[0]["severity"] == "high"


@pytest.mark.parametrize("batched", BATCHED)
def test_resources_collide_by_name_and_never_with_paths(pipeline: Pipeline, batched: bool) -> None:
    p = pipeline.project()
    verdicts = decide(pipeline, [
        declared(p, "a", claims={"resources": ["db"]}), declared(p, "b", claims=["db"]),
        declared(p, "c", claims={"resources": ["db/x"]}), declared(p, "d", claims={"resources": ["q", "db"]}, by="bob"),
    ], batched=batched)  # fmt: skip
    assert [v.classes for v in verdicts] == [[], [], [], ["claim_collision"]]
    assert verdicts[3].evidence["pointer"] == "/claims/resources/1"


@pytest.mark.parametrize("batched", BATCHED)
def test_a_version_that_leaves_a_claim_out_gives_it_up(pipeline: Pipeline, batched: bool) -> None:
    p = pipeline.project()
    verdicts = decide(pipeline, [
        declared(p, "a", claims=["src/**"]), declared(p, "b", claims=["src/x.py"]),
        declared(p, "a", 2, base_version=1, claims=["docs/**"]), declared(p, "b", claims=["src/x.py"]),
        declared(p, "a", 3, base_version=2), declared(p, "c", claims=["docs/a"]),
    ], batched=batched)  # fmt: skip
    assert [v.classes for v in verdicts] == [[], ["claim_collision"], [], [], [], []]
    assert pipeline.sql("SELECT pattern FROM claims ORDER BY pattern") == [("docs/a",), ("src/x.py",)]


def test_an_artifact_keeps_its_claim_from_version_to_version(pipeline: Pipeline) -> None:
    p = pipeline.project()
    verdicts = decide(
        pipeline, [declared(p, "a", 1, claims=["src/**"]), declared(p, "a", 2, base_version=1, claims=["src/**"])]
    )
    assert [v.seen for v in verdicts] == [("approved", [])] * 2


def test_a_deprecated_artifact_claims_nothing(pipeline: Pipeline) -> None:
    p = pipeline.project()
    artifact = decide_one(pipeline, declared(p, "a", claims=["src/**"], requires=[{"name": "x"}])).result["artifact"][
        "id"
    ]
    assert (
        decide_one(pipeline, asked(p, "artifact.transition", artifact=artifact, to="deprecated")).verdict == "approved"
    )
    assert decide_one(pipeline, declared(p, "b", claims=["src/**"])).seen == ("approved", [])
    assert pipeline.sql("SELECT holds FROM artifacts WHERE id = ?", artifact) == [(0,)]
    assert pipeline.sql("SELECT count(*) FROM artifact_requirements") == [(0,)]


def test_an_artifact_that_is_restored_holds_again_what_it_held(pipeline: Pipeline) -> None:
    p = pipeline.project()
    made = decide_one(pipeline, declared(p, "a", claims=["src/**"], requires=[{"name": "x", "specifier": "==1"}]))
    artifact = made.result["artifact"]["id"]
    (then,) = pipeline.sql("SELECT position FROM projects WHERE id = ?", p)[0]
    decide_one(pipeline, asked(p, "artifact.transition", artifact=artifact, to="deprecated"))
    assert decide_one(pipeline, asked(p, "project.restore", to=str(then))).verdict == "approved"
    late = declared(p, "b", claims=["src/b"], requires=[{"name": "x", "specifier": "==2"}], by="bob")
    assert decide_one(pipeline, late).classes == ["claim_collision", "constraint_conflict"]
    (head,) = pipeline.sql("SELECT head FROM artifacts WHERE id = ?", artifact)[0]
    assert decide_one(pipeline, declared(p, "a", 2, base_version=head)).seen == ("approved", [])
    assert decide_one(pipeline, late).seen == ("approved", [])


def test_claims_of_another_project_do_not_matter(pipeline: Pipeline) -> None:
    p, q = pipeline.project(name="p"), pipeline.project(name="q")
    verdicts = decide(pipeline, [declared(p, "a", claims=["src/**"]), declared(q, "b", claims=["src/**"])])
    assert [v.classes for v in verdicts] == [[], []]


def test_prefixes_are_compared_by_code_points_on_every_database(pipeline: Pipeline) -> None:
    """Under the rules of a language, ``src/_a`` and ``src/Zoo`` would lie elsewhere."""
    p = pipeline.project()
    names = ["src/_a/x", "src/Zoo/x", "src/äöü/x", "src/-/x", "src/a b/x"]
    decide(pipeline, [declared(p, f"n{i}", claims=[name]) for i, name in enumerate(names)], batched=True)
    broad = decide_one(pipeline, declared(p, "all", claims=["src/**/x"], by="bob"))
    assert broad.evidence["holder_count"] == len(names)


def test_a_pattern_with_too_much_below_it_is_refused_instead_of_tried(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metaqore.psmp.claims.MAX_NEAR", 5)
    p = pipeline.project()
    decide(pipeline, [declared(p, f"n{i}", claims=[f"src/{i}.js"]) for i in range(8)], batched=True)
    assert decide_one(pipeline, declared(p, "x", claims=["**/*.py"])).evidence["too_broad"]
    assert decide_one(pipeline, declared(p, "y", claims=["docs/**"])).verdict == "approved"
    many = [declared(p, f"r{i}", claims={"resources": [f"r{i}"]}) for i in range(8)]
    assert {v.verdict for v in decide(pipeline, many, batched=True)} == {"approved"}
    again = [declared(p, f"s{i}", claims={"resources": [f"r{i}"]}) for i in range(8)]
    assert [v.classes for v in decide(pipeline, again, batched=True)] == [["claim_collision"]] * 8


def test_a_claim_that_names_nothing_is_no_declaration(pipeline: Pipeline) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"claims": ["../x"]}, "claims.paths[0]"), ({"claims": {"paths": ["/"]}}, "claims.paths[0]"),
        ({"claims": [" "]}, "claims"), ({"claims": {"x": []}}, "claims"),
    ]  # fmt: skip
    p = pipeline.project()
    for payload, message in wrong:
        refused = decide_one(pipeline, declared(p, "a", **payload))
        assert refused.state == "failed"
        assert message in refused.error["message"]


@pytest.mark.parametrize("batched", BATCHED)
@pytest.mark.parametrize(("mode", "verdict"), MODES)
def test_what_was_read_has_changed_since(pipeline: Pipeline, mode: str, verdict: str, batched: bool) -> None:
    p = pipeline.project(mode)
    read = [{"type": "doc", "name": "x", "version": 1}, {"type": "doc", "name": "y", "version": 1}]
    *_, skewed, fresh = decide(pipeline, [
        declared(p, "x", 1), declared(p, "y", 1), declared(p, "y", 2, base_version=1, by="bob"),
        declared(p, "a", read_set=read), declared(p, "b", read_set=[{**read[1], "version": 2}, read[0]]),
    ], batched=batched)  # fmt: skip
    assert skewed.seen == (verdict, ["read_set_changed"])
    assert skewed.evidence["pointer"] == "/read_set/1"
    assert (skewed.evidence["read_version"], skewed.evidence["head_version"]) == (1, 2)
    assert skewed.evidence["moved_by"] == "bob"
    assert fresh.seen == ("approved", [])


def test_what_was_read_by_id_and_what_is_not_there(pipeline: Pipeline) -> None:
    p, q = pipeline.project(name="p"), pipeline.project(name="q")
    mine = decide_one(pipeline, declared(p, "x", 1)).result["artifact"]["id"]
    other = decide_one(pipeline, declared(q, "x", 1)).result["artifact"]["id"]
    good = declared(p, "a", read_set=[{"artifact": mine, "version": 1}])
    assert decide_one(pipeline, good).seen == ("approved", [])
    for wrong in ({"artifact": other, "version": 1}, {"type": "doc", "name": "gone", "version": 1}):
        assert decide_one(pipeline, declared(p, "b", read_set=[wrong])).evidence["head_version"] == 0


def test_its_own_base_is_not_reported_twice(pipeline: Pipeline) -> None:
    p = pipeline.project()
    verdicts = decide(pipeline, [
        declared(p, "x", 1), declared(p, "x", 2, base_version=1),
        declared(p, "x", 3, base_version=1, read_set=[{"type": "doc", "name": "x", "version": 1}]),
    ])  # fmt: skip
    assert "read_set_changed" not in verdicts[2].classes
    assert "version_mismatch" in verdicts[2].classes
