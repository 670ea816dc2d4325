"""Dependencies over many edits: no cycle is stored, and the topological order stays sound."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metaqore.messages import Submission, Verdict
from tests.contract.pipeline import Pipeline

NAMES = "abcdef"
#: (name, what it depends on)
Edit = tuple[str, list[str]]

edits = st.tuples(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=4, unique=True))
batches = st.lists(st.lists(edits, min_size=1, max_size=6), min_size=1, max_size=6)


def depends(edges: Mapping[str, list[str]], start: str, target: str) -> bool:
    """True where ``start`` is ``target`` or depends on it."""
    seen, stack = {start}, [start]
    while stack:
        node = stack.pop()
        if node == target:
            return True
        fresh = [n for n in edges.get(node, ()) if n not in seen]
        seen.update(fresh)
        stack += fresh
    return False


def admit(edges: dict[str, list[str]], edit: Edit, proposed: Collection[str] = ()) -> list[str]:
    """Do to the model what playground does: leave out what is missing or would close a cycle; return the conflicts.

    Args:
        proposed: names under which something was blocked.
    """
    name, wanted = edit
    conflicts, kept = [], []
    for dependency in wanted:
        if dependency != name and dependency not in edges:
            conflicts.append("blocked_dependency" if dependency in proposed else "missing_dependency")
        elif dependency == name or depends(edges, dependency, name):
            conflicts.append("circular_dependency")
        else:
            kept.append(dependency)
    edges[name] = kept
    return conflicts


def declaration(pipeline: Pipeline, project: str, edit: Edit, version: int) -> Submission:
    wanted: list[Any] = [{"type": "doc", "name": name} for name in edit[1]]
    return pipeline.submission(
        "artifact.declare", project, type="doc", name=edit[0], content=version, base_version=version, depends_on=wanted
    )


def stored_edges(pipeline: Pipeline, project: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {
        row[0]: [] for row in pipeline.sql("SELECT name FROM artifacts WHERE project = ?", project)
    }
    for name, dependency in pipeline.sql(
        "SELECT a.name, d.name FROM artifact_edges e JOIN artifacts a ON a.id = e.artifact "
        "JOIN artifacts d ON d.id = e.depends_on WHERE a.project = ?", project,
    ):  # fmt: skip
        found[name].append(dependency)
    return found


def test_the_order_stays_sound_whatever_is_declared_together(pipeline: Pipeline) -> None:
    @settings(
        max_examples=150 if pipeline.database.is_sqlite else 30,
        suppress_health_check=[HealthCheck.too_slow],
    )  # fmt: skip
    @given(batches)
    def check(groups: list[list[Edit]]) -> None:
        project = pipeline.project("playground")
        edges: dict[str, list[str]] = {}
        versions: dict[str, int] = {}
        for group in groups:
            asked = []
            for edit in group:
                asked.append(declaration(pipeline, project, edit, versions.get(edit[0], 0)))
                versions[edit[0]] = versions.get(edit[0], 0) + 1
                admit(edges, edit)
            pipeline.intake.submit(asked)
            assert pipeline.executor.drain("psmp") == len(group)
            assert {k: sorted(v) for k, v in stored_edges(pipeline, project).items()} == {
                k: sorted(v) for k, v in edges.items()
            }
            pipeline.check_versions()
            pipeline.check_ranks()

    check()


def test_strict_blocks_exactly_what_would_close_a_cycle_or_hang_in_the_air(pipeline: Pipeline) -> None:
    @settings(
        max_examples=100 if pipeline.database.is_sqlite else 20,
        suppress_health_check=[HealthCheck.too_slow],
    )  # fmt: skip
    @given(batches)
    def check(groups: list[list[Edit]]) -> None:
        project = pipeline.project("strict")
        edges: dict[str, list[str]] = {}
        versions: dict[str, int] = {}
        proposed: set[str] = set()
        for group in groups:
            asked, expected = [], []
            for edit in group:
                asked.append(declaration(pipeline, project, edit, versions.get(edit[0], 0)))
                tried = {**edges}
                expected.append(sorted(admit(tried, edit, proposed)))
                if expected[-1]:
                    proposed.add(edit[0])
                else:
                    edges = tried
                    versions[edit[0]] = versions.get(edit[0], 0) + 1
            ids = pipeline.intake.submit(asked).ids
            pipeline.executor.drain("psmp")
            for request, conflicts in zip(ids, expected, strict=True):
                assert pipeline.row(request)["verdict"] == (Verdict.BLOCKED if conflicts else Verdict.APPROVED)
                stored = pipeline.sql("SELECT class FROM conflicts WHERE request_id = ? ORDER BY class", request)
                assert [row[0] for row in stored] == conflicts
            assert stored_edges(pipeline, project).keys() == edges.keys()
            pipeline.check_versions()
            pipeline.check_ranks()

    check()


def test_a_new_artifact_comes_after_what_it_depends_on_though_its_request_has_a_smaller_number(
    pipeline: Pipeline,
) -> None:
    """On PostgreSQL numbers are given before the commit, so a larger one may be visible, and decided, first."""
    project = pipeline.project("strict")
    for name in "ab":
        declare(pipeline, project, (name, []))
    pipeline.change("UPDATE artifacts SET rank = rank + 1000 WHERE project = ?", project)
    declare(pipeline, project, ("c", ["a", "b"]))
    declare(pipeline, project, ("d", ["c", "a"]))
    pipeline.check_ranks()


def test_a_cycle_over_three_artifacts_is_found_within_one_batch_and_over_several(pipeline: Pipeline) -> None:
    for together in (False, True):
        project = pipeline.project("strict")
        first = [("a", []), ("b", ["a"]), ("c", ["b"])]
        asked = [declaration(pipeline, project, edit, 0) for edit in first]
        asked.append(declaration(pipeline, project, ("a", ["c"]), 1))
        for group in [asked] if together else [[one] for one in asked]:
            ids = pipeline.intake.submit(group).ids
            pipeline.executor.drain("psmp")
        report = json.loads(pipeline.row(ids[-1])["result"])["blocking_report"]
        cycle = report["conflicts"][0]["evidence"]["cycle"]
        names = {row[0]: row[1] for row in pipeline.sql("SELECT id, name FROM artifacts WHERE project = ?", project)}
        assert [names[artifact] for artifact in cycle] == ["a", "c", "b", "a"]
        assert report["conflicts"][0]["message"].endswith(": doc/a → doc/c → doc/b → doc/a")


def declare(pipeline: Pipeline, project: str, edit: Edit, version: int = 0) -> str:
    request = pipeline.intake.submit([declaration(pipeline, project, edit, version)]).ids[0]
    pipeline.executor.drain("psmp")
    return request
