"""Whatever is declared: decided in one batch or one by one, the verdicts and what is held afterwards are the same.

In a batch, each declaration sees what the ones before it did only by what the checks lay over their look-ups.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from metaqore.messages import Submission
from tests.contract.deciding import WORK, Decided, asked, decide, declared
from tests.contract.pipeline import Pipeline

NAMES = ["a", "b", "c", "d"]
PEOPLE = ["ann", "bob", "cy"]
PATHS = ["src/**", "src/*.py", "src/a.py", "src/api/x", "docs/*", "**/x", "docs/a.md"]
SPECIFIERS = [">=1", "<2", "==1.5", "!=1.5", ">=2", "", "<3"]


def anything(rnd: random.Random, project: str, heads: dict[str, int]) -> Submission:
    """Return a declaration that uses some of everything; mostly on the present head."""
    name = rnd.choice(NAMES)
    content: dict[str, Any] = {"port": rnd.randint(1, 2), "host": rnd.choice("xy"), "note": rnd.choice([WORK, "-", ""])}
    more: dict[str, Any] = {"base_version": max(0, heads.get(name, 0) - rnd.choice([0, 0, 0, 0, 1]))}
    if rnd.random() < 0.5:
        more["claims"] = rnd.sample(PATHS, rnd.randint(1, 2))
    if rnd.random() < 0.5:
        more["requires"] = [
            {"name": rnd.choice("xy"), "specifier": rnd.choice(SPECIFIERS), "scope": rnd.choice(["runtime", "build"])}
            for _ in range(rnd.randint(1, 2))
        ]  # fmt: skip
    if rnd.random() < 0.4:
        more["owns"] = rnd.sample(["/port", "/host", ""], rnd.randint(0, 2))
        more["force"] = more["owns"][:1] if rnd.random() < 0.5 else []
    if rnd.random() < 0.3:
        more["read_set"] = [{"type": "doc", "name": rnd.choice(NAMES), "version": rnd.randint(1, 4)}]
    heads[name] = heads.get(name, 0) + (rnd.random() < 0.6)
    return declared(project, name, content, by=rnd.choice(PEOPLE), **more)


def seen(decided: Decided) -> Any:
    """Return what came of a declaration, ids and hashes apart."""
    evidence = [
        (c["class"], c["evidence"]["pointer"], c["message"], c.get("resolution")) for c in decided.conflicts
    ]  # fmt: skip
    result = decided.result
    artifact = result.get("artifact", {})
    took = [(each["field"], each["from"]) for each in result.get("provenance", {}).get("took_over", ())]
    rest = (artifact.get("version"), result.get("constraints"), result.get("manages"), took)
    return decided.verdict, sorted(evidence, key=str), rest


def held(pipeline: Pipeline, project: str) -> list[list[Any]]:
    """Return everything that the heads of a project hold, by their names."""
    return [
        sorted(tuple(row) for row in pipeline.sql(sql, project))
        for sql in (
            "SELECT name, head, holds, content_hash FROM artifacts WHERE project = ?",
            "SELECT a.name, r.package, r.environment, r.specifier, r.scope, r.declared_by FROM artifact_requirements r "
            "JOIN artifacts a ON a.id = r.artifact WHERE r.project = ?",
            "SELECT a.name, c.kind, c.prefix, c.pattern, c.principal FROM claims c JOIN artifacts a ON a.id = c.holder "
            "WHERE c.project = ?",
            "SELECT a.name, f.pointer, f.manager, f.value_hash, f.since FROM field_managers f "
            "JOIN artifacts a ON a.id = f.artifact WHERE a.project = ?",
        )
    ]


@pytest.mark.parametrize("mode", ["strict", "adaptive", "playground"])
def test_a_batch_decides_as_one_by_one(pipeline: Pipeline, mode: str) -> None:
    classes: set[str] = set()
    for seed in range(2):
        projects = [pipeline.project(mode), pipeline.project(mode)]
        outcomes = []
        for project, batched in zip(projects, (False, True), strict=True):
            rnd, heads = random.Random(f"{mode}{seed}"), dict[str, int]()
            announced = asked(project, "intent.announce", by="dan", purpose="d", expires_in_s=86_400,
                              writes=[{"type": "doc", "name": "d"}], claims=["docs/a.md"])  # fmt: skip
            decide(pipeline, [announced])
            made = [anything(rnd, project, heads) for _ in range(40)]
            outcomes.append(decide(pipeline, made, batched=batched))
        one_by_one, together = ([seen(each) for each in outcome] for outcome in outcomes)
        for number, (one, other) in enumerate(zip(one_by_one, together, strict=True)):
            assert one == other, f"seed {seed}, declaration {number}"
        assert held(pipeline, projects[0]) == held(pipeline, projects[1])
        classes |= {name for outcome in outcomes[0] for name in outcome.classes}
    expected = {"claim_collision", "constraint_conflict", "duplicate_work", "field_ownership", "read_set_changed"}
    assert expected <= classes, "the declarations do not meet everything"


def test_a_replacement_that_is_not_admitted_leaves_nothing_for_the_rest_of_its_run(pipeline: Pipeline) -> None:
    p = pipeline.project("strict")
    decide(pipeline, [declared(p, "x", 1, depends_on=[{"type": "doc", "name": "gone"}])])
    proposal = pipeline.sql("SELECT id FROM proposals")[0][0]
    again = {"replaces": proposal, "depends_on": [{"type": "doc", "name": "gone"}]}
    refused, on_it, renamed, on_old = decide(
        pipeline,
        [declared(p, "y", 1, **again), declared(p, "z", 1, depends_on=[{"type": "doc", "name": "y"}]),
         declared(p, "w", 1, replaces=proposal), declared(p, "v", 1, depends_on=[{"type": "doc", "name": "x"}])],
        batched=True,
    )  # fmt: skip
    assert refused.error["code"] == "precondition_failed"
    assert on_it.classes == ["missing_dependency"], "y was never kept: there is no proposal to wait for"
    assert renamed.verdict == "approved"
    assert on_old.classes == ["missing_dependency"], "the proposal for x was closed by the one before"
