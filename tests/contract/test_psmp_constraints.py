"""Package requirements of all heads of a project, held together."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metaqore.store.engine import Database
from tests.contract.deciding import Decided, decide, decide_one, declared
from tests.contract.pipeline import Pipeline
from tests.contract.test_psmp_lifecycle import with_policy
from tests.unit.psmp.test_constraints import DATA

BATCHED = [False, True]


def needs(*specifiers: str, name: str = "requests", **more: Any) -> list[dict[str, Any]]:
    return [{"name": name, "specifier": specifier, **more} for specifier in specifiers]


@pytest.fixture
def narrowing(database: Database, tmp_path: Path) -> Iterator[Pipeline]:
    """A policy by which adaptive narrows what contradicts."""
    rule = "constraint_conflict: {severity: high, strategy: retry, adaptive: "
    made = with_policy(database, tmp_path, (f"{rule}block}}", f"{rule}resolve}}"))
    yield made
    made.check_sequences()
    made.check_recorded()


@pytest.mark.parametrize("batched", BATCHED)
@pytest.mark.parametrize(
    ("mode", "verdict"), [("strict", "blocked"), ("adaptive", "blocked"), ("playground", "approved")]
)
def test_two_agents_contradict_each_other(pipeline: Pipeline, mode: str, verdict: str, batched: bool) -> None:
    p = pipeline.project(mode)
    first, second, third = decide(pipeline, [
        declared(p, "a", requires=needs(">=2.0")),
        declared(p, "b", requires=[*needs("", name="other"), *needs("<2.0", name="Requests")], by="bob"),
        declared(p, "c", requires=needs(">=2.5,<4"), by="cy"),
    ], batched=batched)  # fmt: skip
    assert first.seen == ("approved", [])
    assert first.result["constraints"] == [
        {"ecosystem": "pypi", "package": "requests", "environment": "run", "witness": "2.0"}
    ]
    assert second.seen == (verdict, ["constraint_conflict"])
    assert second.evidence["pointer"] == "/requires/1"
    assert second.evidence["witness"] == "2.0"
    core = {(each["title"], each["declared_by"], each["specifier"]) for each in second.evidence["core"]}
    assert core == {("doc/a", "ann", ">=2.0"), ("doc/b", "bob", "<2.0")}
    assert second.conflicts[0]["severity"] == "high"
    assert second.evidence["narrowed"] == [{"pointer": "/requires/1", "declared": "<2.0", "specifier": ">=2.0"}]
    assert third.verdict == "approved"


@pytest.mark.parametrize("batched", BATCHED)
def test_adaptive_may_narrow_a_requirement_to_what_the_others_accept(narrowing: Pipeline, batched: bool) -> None:
    pipeline = narrowing
    p = pipeline.project("adaptive")
    _, _, second, after = decide(pipeline, [
        declared(p, "a", requires=needs(">=2.0")), declared(p, "n", requires=needs("^2.0.0", ecosystem="npm")),
        declared(p, "b", requires=[*needs("<2.0,>=1.5,!=2.3", scope="dev"), *needs("~1.4", ecosystem="npm")], by="bob"),
        declared(p, "c", requires=needs("==1.9"), by="cy"),
    ], batched=batched)  # fmt: skip
    assert second.seen == ("approved", ["constraint_conflict"] * 2)
    assert [c["resolution"] for c in second.conflicts] == ["narrowed", "narrowed"]
    told = second.result["provenance"]["narrowed"]
    assert [(t["declared"], t["declared_by"], t["admitted"]) for t in told] == [
        ("<2.0,>=1.5,!=2.3", "bob", "!=2.3,>=1.5,>=2.0"), ("~1.4", "bob", ">=1.4.0 >=2.0.0 <3.0.0-0"),
    ]  # fmt: skip
    assert told[0]["others"][0]["declared_by"] == "ann"
    assert told[0]["others"][0]["specifier"] == ">=2.0"
    body = json.loads(pipeline.sql("SELECT body FROM artifact_versions WHERE created_by = 'bob'")[0][0])
    assert [r["specifier"] for r in body["requires"]] == [t["admitted"] for t in told]
    assert body["requires"][0]["scope"] == "dev"
    assert body["provenance"]["narrowed"] == told
    # What is held, and what later ones meet, is what was admitted.
    assert {
        row[0] for row in pipeline.sql("SELECT specifier FROM artifact_requirements WHERE declared_by = 'bob'")
    } == {t["admitted"] for t in told}
    assert after.result["provenance"]["narrowed"][0]["admitted"] == "!=2.3,>=1.5,>=2.0"
    states = pipeline.sql("SELECT state, resolution, resolved_by FROM conflicts WHERE request_id = ?", second.id)
    assert states == [("resolved", "narrowed", "metaqore")] * 2
    events = pipeline.sql("SELECT count(*) FROM events WHERE type = 'conflict.resolved'")
    assert events == [(3,)]


@pytest.mark.parametrize(
    ("there", "asked"),
    [([">=2", "<2"], ["==2.1"]), ([">=2"], ["<1", ">=3,<1"]), ([">=2"], ["==1.0", "==1.1,==2.5,==2.6"])],
)
def test_adaptive_blocks_where_the_others_or_the_author_contradict_themselves(
    narrowing: Pipeline, there: list[str], asked: list[str]
) -> None:
    pipeline = narrowing
    p = pipeline.project("playground")
    decide(pipeline, [declared(p, f"n{at}", requires=needs(each)) for at, each in enumerate(there)])
    pipeline.executor.run_now(pipeline.submission("project.save", None, id=p, mode="adaptive"))
    refused = decide_one(pipeline, declared(p, "x", requires=needs(*asked)))
    assert refused.seen == ("blocked", ["constraint_conflict"])


def test_what_is_rebased_and_narrowed_at_once_loses_neither(narrowing: Pipeline) -> None:
    pipeline = narrowing
    p = pipeline.project("adaptive")
    *_, both = decide(pipeline, [
        declared(p, "other", requires=needs(">=2")), declared(p, "x", {"a": 1, "b": 1}),
        declared(p, "x", {"a": 2, "b": 1}, base_version=1, by="bob", requires=needs("", name="kept")),
        declared(p, "x", {"a": 1, "b": 2}, base_version=1, by="cy", requires=needs("<2")),
    ])  # fmt: skip
    assert both.verdict == "approved"
    content, body = pipeline.sql("SELECT content, body FROM artifact_versions WHERE created_by = 'cy'")[0]
    assert json.loads(content) == {"a": 2, "b": 2}
    assert [(r["name"], r["specifier"]) for r in json.loads(body)["requires"]] == [("requests", ">=2"), ("kept", "")]
    assert {"narrowed", "parents"} <= json.loads(body)["provenance"].keys()


@pytest.mark.parametrize("batched", BATCHED)
def test_only_heads_count(pipeline: Pipeline, batched: bool) -> None:
    p = pipeline.project()
    verdicts = decide(pipeline, [
        declared(p, "a", 1, requires=needs("==1.0")), declared(p, "b", 1, requires=needs("==2.0")),
        declared(p, "a", 2, base_version=1, requires=needs(">=1.0")), declared(p, "b", 1, requires=needs("==2.0")),
        declared(p, "a", 3, base_version=2), declared(p, "c", 1, requires=needs("<1", ">=3", name="x")),
    ], batched=batched)  # fmt: skip
    assert [v.classes for v in verdicts] == [
        [], ["constraint_conflict"], [], [], [], ["constraint_conflict"],
    ]  # fmt: skip
    assert pipeline.sql("SELECT specifier FROM artifact_requirements") == [("==2.0",)]


@pytest.mark.parametrize("batched", BATCHED)
def test_scopes_ecosystems_and_projects_meet_as_documented(pipeline: Pipeline, batched: bool) -> None:
    p, q = pipeline.project(name="p"), pipeline.project(name="q")
    verdicts = decide(pipeline, [
        declared(p, "a", requires=needs("==1.0")),
        declared(p, "b", requires=needs("==2.0", scope="build")),
        declared(p, "c", requires=needs("2.0.0", ecosystem="npm")),
        declared(q, "d", requires=needs("==2.0")),
        declared(p, "e", requires=needs("==2.0", scope="dev")),
    ], batched=batched)  # fmt: skip
    assert [v.classes for v in verdicts] == [[], [], [], [], ["constraint_conflict"]]


@pytest.mark.parametrize("batched", BATCHED)
def test_three_that_contradict_only_together_are_all_named(pipeline: Pipeline, batched: bool) -> None:
    p = pipeline.project()
    verdicts = decide(pipeline, [
        declared(p, "a", requires=needs("1.x || 2.x", ecosystem="npm"), by="ann"),
        declared(p, "b", requires=needs("2.x || 3.x", ecosystem="npm"), by="bob"),
        declared(p, "c", requires=needs("*", ecosystem="npm"), by="cy"),
        declared(p, "d", requires=needs("1.x || 3.x", ecosystem="npm"), by="dan"),
    ], batched=batched)  # fmt: skip
    assert [v.classes for v in verdicts] == [[], [], [], ["constraint_conflict"]]
    assert sorted(each["title"] for each in verdicts[3].evidence["core"]) == ["doc/a", "doc/b", "doc/d"]


@pytest.mark.parametrize("batched", BATCHED)
def test_many_artifacts_with_one_specifier_are_one_question(pipeline: Pipeline, batched: bool) -> None:
    """Of the heads that share a specifier any but the declared one stands for it, also where the first ones move."""
    p = pipeline.project("playground")
    many = [declared(p, f"n{i}", requires=needs(">=2.0")) for i in range(5)]
    moved = [declared(p, f"n{i}", 2, base_version=1, requires=needs(">=1.0")) for i in (0, 4, 1, 3)]
    verdicts = decide(pipeline, [*many, *moved, declared(p, "x", requires=needs("<2.0"))], batched=batched)
    assert {tuple(v.classes) for v in verdicts[:-1]} == {()}
    assert verdicts[-1].evidence["core"][1]["title"] == "doc/n2"
    again = [declared(p, "n2", 2, base_version=1), declared(p, "y", requires=needs("<2.0"))]
    assert [v.classes for v in decide(pipeline, again, batched=batched)] == [[], []]


def test_more_specifiers_than_can_be_solved_under_the_lock_are_a_conflict(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metaqore.psmp.manifest.MAX_SPECIFIERS", 5)
    p = pipeline.project("playground")
    decide(pipeline, [declared(p, f"n{i}", requires=needs(f">=1.{i}", f"<9.{i}")) for i in range(3)], batched=True)
    refused = decide_one(pipeline, declared(p, "x", requires=needs(">=0")))
    assert refused.evidence["package"] == "requests"
    assert "more than 5 different specifiers" in refused.conflicts[0]["message"]


def test_a_requirement_that_nobody_can_read_is_no_declaration(pipeline: Pipeline) -> None:
    refused = decide_one(pipeline, declared(pipeline.project(), "a", requires=needs(">>2")))
    assert refused.state == "failed"
    assert "requires[0].specifier" in refused.error["message"]


def test_the_recorded_groups_are_decided_as_they_are_labelled(pipeline: Pipeline) -> None:
    path = DATA / "specifiers.jsonl"
    if not path.exists():
        pytest.skip("the recorded specifiers are not there")
    groups = [row for row in map(json.loads, path.read_text().splitlines()) if row["kind"] == "group"]
    for group in random.Random(7).sample(groups, 30):
        p = pipeline.project(name=group["id"])
        verdicts: list[Decided] = decide(pipeline, [
            declared(p, f"n{i}", requires=needs(each["specifier"], name=group["name"]), by=each["declared_by"])
            for i, each in enumerate(group["requirements"])
        ], batched=True)  # fmt: skip
        conflicting = [v for v in verdicts if v.classes]
        assert bool(conflicting) == (not group["satisfiable"]), group
        assert all(v.classes == ["constraint_conflict"] for v in conflicting)


def test_the_manifest_shows_everybodys_requirements_together(pipeline: Pipeline) -> None:
    from metaqore.store.views import build

    p = pipeline.project("playground")
    decide(pipeline, [
        declared(p, "a", requires=[*needs(">=2.0", "!=2.5"), *needs("^1.2", name="@types/node", ecosystem="npm")]),
        declared(p, "b", requires=needs("<3", scope="dev"), by="bob"),
        declared(p, "c", requires=needs("<2", scope="build"), by="cy"),
        declared(p, "d", requires=needs("<1.1", name="@types/node", ecosystem="npm"), by="dan"),
    ])  # fmt: skip
    views = build(pipeline.database).holdings
    first = views.manifest(p, after=None, limit=2)
    rest = views.manifest(p, after=first.last, limit=2)
    assert rest.last is None
    items = {(i["package"], i["environment"]): i for i in [*first.items, *rest.items]}
    assert list(items) == [("@types/node", "run"), ("requests", "build"), ("requests", "run")]
    run = items["requests", "run"]
    assert (run["constraint"], run["satisfiable"], run["witness"]) == ("!=2.5,<3,>=2.0", True, "2.0")
    assert [(r["specifier"], r["name"], r["scope"]) for r in run["required_by"]] == [
        ("!=2.5", "a", "runtime"), ("<3", "b", "dev"), (">=2.0", "a", "runtime"),
    ]  # fmt: skip
    assert not items["@types/node", "run"]["satisfiable"]
    assert items["@types/node", "run"]["core"] == ["<1.1", "^1.2"]
