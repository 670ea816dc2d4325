"""Lifecycles, deletion, aliases, labels and bounds, on both databases."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

from metaqore.errors import Forbidden, MetaQoreError
from metaqore.messages import Submission
from metaqore.psmp.control import IllegalTransition, check_moved
from metaqore.store.engine import Database
from tests.contract.pipeline import ORGANIZATION, Pipeline
from tests.contract.test_psmp_matrix import Scene, on

POLICY = Path(__file__).resolve().parents[2] / "config" / "policies" / "psmp.yaml"


def answer(pipeline: Pipeline, request: str) -> tuple[str | None, dict[str, Any]]:
    """Return the verdict and the result, or the error, of a request."""
    row = pipeline.row(request)
    return row["verdict"], json.loads(row["result"] or row["error"])


def state(scene: Scene, name: str) -> str:
    rows = scene.pipeline.sql("SELECT state FROM artifacts WHERE project = ? AND name = ?", scene.project, name)
    return str(rows[0][0])


@pytest.fixture
def scene(pipeline: Pipeline) -> Scene:
    """A strict project in which y is, and x depends on it."""
    made = Scene(pipeline, "strict")
    made.declare("y")
    made.declare("x", depends_on=on("y"))
    return made


def with_policy(database: Database, folder: Path, *changes: tuple[str, str], **overrides: Any) -> Pipeline:
    """Return a pipeline whose policy is the shipped one with parts of it replaced."""
    text = POLICY.read_text("utf-8")
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    for file in POLICY.parent.parent.rglob("*.yaml"):
        target = folder / file.relative_to(POLICY.parent.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file.read_text("utf-8"), "utf-8")
    (folder / "policies" / "psmp.yaml").write_text(text, "utf-8")
    return Pipeline(database, config_dir=str(folder), **overrides)


# --- moves ------------------------------------------------------------------------------------------------------------


def test_an_illegal_move_is_a_conflict_that_names_the_legal_ones(scene: Scene) -> None:
    scene.move("x", "deprecated")
    verdict, result = answer(scene.pipeline, scene.move("x", "active"))

    conflict = result["blocking_report"]["conflicts"][0]
    assert (verdict, conflict["class"], conflict["rule_id"]) == (
        "blocked", "illegal_transition", "psmp.illegal_transition.v1")  # fmt: skip
    assert conflict["evidence"]["legal"] == ["deleted"]
    rows = scene.pipeline.sql("SELECT id, state, resolution, artifact, proposal FROM conflicts")
    assert rows == [(conflict["id"], "recorded", "refused", scene.id("x"), None)]


def test_a_move_that_needs_authority_is_refused_without_it(scene: Scene) -> None:
    scene.move("x", "quarantined")
    payload = {"artifact": scene.id("x"), "to": "active"}
    for by, authority, expected in (
        ("ann", ["artifacts:write"], "forbidden"), ("ann", ["conflicts:override"], None), ("agent", [], None),
    ):  # fmt: skip
        scene.pipeline.change("UPDATE artifacts SET state = 'quarantined' WHERE id = ?", scene.id("x"))
        request = scene.ask("artifact.transition", {**payload, "authority": authority}, by)
        found = answer(scene.pipeline, request)[1]
        assert found.get("code") == expected, (by, authority, found)
    assert state(scene, "x") == "active"


def test_what_is_deprecated_or_deleted_holds_no_claims_and_what_is_quarantined_does(pipeline: Pipeline) -> None:
    scene = Scene(pipeline, "strict")
    for number, (leave, after) in enumerate((("quarantined", "blocked"), ("deprecated", "approved"), ("", "approved"))):
        name, claims = f"a{number}", [f"src{number}/*"]
        scene.declare(name, claims=claims)
        assert answer(pipeline, scene.declare(f"b{number}", by="bob", claims=claims))[0] == "blocked"
        scene.move(name, leave) if leave else scene.ask("artifact.delete", {"artifact": scene.id(name)})
        assert answer(pipeline, scene.declare(f"c{number}", by="bob", claims=claims))[0] == after, leave


def test_a_move_may_ask_for_checks(database: Database, tmp_path: Path) -> None:
    pipeline = with_policy(
        database, tmp_path,
        ("- {from: proposed, to: active}", "- {from: proposed, to: active, checks: [dependencies_sound]}"),
        ("- {from: pending, to: [in_progress, blocked, cancelled]}",
         "- {from: pending, to: in_progress, checks: [dependencies_done]}\n      - {from: pending, to: blocked}"),
        ("- {from: in_progress, to: [completed, blocked, failed, archived]}",
         "- {from: in_progress, to: completed, who: [owner], checks: [tasks_final, no_open_conflicts]}\n"
         "      - {from: in_progress, to: [blocked, failed, archived]}"),
    )  # fmt: skip
    scene = Scene(pipeline, "strict")
    scene.declare("y")
    scene.declare("x", depends_on=on("y"))
    scene.move("y", "deprecated")
    verdict, result = answer(pipeline, scene.move("x", "active"))
    assert verdict == "blocked"
    assert result["blocking_report"]["conflicts"][0]["evidence"]["check"] == "dependencies_sound"

    def run(kind: str, by: str = "agent", **payload: Any) -> Any:
        asked = Submission(organization=ORGANIZATION, project=scene.project, principal=by, kind=kind, payload=payload)
        return pipeline.executor.run_now(asked).result

    first = run("task.save", title="first")
    second = run("task.save", title="second", depends_on=[first["id"]])
    with pytest.raises(IllegalTransition, match="dependencies_done") as refused:
        check_moved(run("task.save", id=second["id"], state="in_progress"))
    assert refused.value.details["check"] == "dependencies_done"
    run("project.save", id=scene.project, state="in_progress")
    with pytest.raises(IllegalTransition, match="tasks_final"):
        check_moved(run("project.save", id=scene.project, state="completed"))
    with pytest.raises(Forbidden, match="only owner may move it"):
        run("project.save", "eve", id=scene.project, state="completed")
    for task in (first, second):
        pipeline.change("UPDATE tasks SET state = 'completed' WHERE id = ?", task["id"])
    assert run("project.save", id=scene.project, state="completed")["state"] == "completed"


def test_a_project_that_the_policy_calls_closed_admits_nothing(database: Database, tmp_path: Path) -> None:
    pipeline = with_policy(database, tmp_path, ("      planning: {}", "      planning: {closed: true}"))
    scene = Scene(pipeline, "playground")
    pipeline.executor.run_now(pipeline.submission("project.save", None, id=scene.project, state="planning"))

    assert answer(pipeline, scene.declare("x"))[1]["code"] == "project_closed"


def test_a_rule_with_a_mode_of_its_own_overrules_the_project(database: Database, tmp_path: Path) -> None:
    pipeline = with_policy(
        database, tmp_path,
        ("missing_dependency: {severity: high, strategy: retry, adaptive: block}",
         "missing_dependency: {severity: low, strategy: override, mode: playground}"),
        ("superseded_dependency: {severity: low, strategy: retry, adaptive: record}",
         "superseded_dependency: {severity: critical, mode: strict}"),
    )  # fmt: skip
    strict, free = Scene(pipeline, "strict"), Scene(pipeline, "playground")
    request = strict.declare("x", depends_on=on("gone"))
    assert answer(pipeline, request)[0] == "approved"
    row = pipeline.sql("SELECT severity, strategy, state FROM conflicts WHERE request_id = ?", request)
    assert row == [("low", "override", "recorded")]
    free.declare("y")
    free.declare("y", 2, 1)
    assert answer(pipeline, free.declare("x", depends_on=on("y", version=1)))[0] == "blocked"


# --- deletion ---------------------------------------------------------------------------------------------------------


def test_what_others_depend_on_is_not_deleted_unless_told_what_becomes_of_them(scene: Scene) -> None:
    verdict, result = answer(scene.pipeline, scene.ask("artifact.delete", {"artifact": scene.id("y")}))

    report = result["blocking_report"]
    assert (verdict, report["conflicts"][0]["class"]) == ("blocked", "dependants_remain")
    assert report["conflicts"][0]["evidence"]["dependants"] == [{"id": scene.id("x"), "type": "doc", "name": "x"}]
    assert [way["url"].split("?")[1] for way in report["ways"]] == ["cascade=true", "deprecate=true"]
    assert state(scene, "y") == "proposed"


def test_a_cascade_deletes_all_that_depends_on_it_directly_or_not(scene: Scene) -> None:
    scene.declare("w", depends_on=on("x"))
    scene.declare("apart")
    asked = {"artifact": scene.id("y"), "cascade": True}
    verdict, result = answer(scene.pipeline, scene.ask("artifact.delete", asked))

    assert verdict == "approved"
    assert {each["name"] for each in result["cascaded"]} == {"x", "w"}
    assert [state(scene, name) for name in ("y", "x", "w", "apart")] == ["deleted"] * 3 + ["proposed"]
    events = scene.pipeline.sql("SELECT subject FROM events WHERE type = 'artifact.deleted'")
    assert {row[0] for row in events} == {scene.id(name) for name in ("y", "x", "w")}
    assert scene.pipeline.sql("SELECT count(*) FROM artifact_versions") == [(4,)]


def test_deprecating_instead_leaves_everything_in_place(scene: Scene) -> None:
    asked = {"artifact": scene.id("y"), "deprecate": True}
    assert answer(scene.pipeline, scene.ask("artifact.delete", asked))[0] == "approved"

    assert [state(scene, name) for name in ("y", "x")] == ["deprecated", "proposed"]


def test_a_deleted_artifact_is_a_tombstone(scene: Scene) -> None:
    scene.ask("artifact.delete", {"artifact": scene.id("x")})
    again = answer(scene.pipeline, scene.ask("artifact.delete", {"artifact": scene.id("x")}))
    assert (again[0], again[1]["already"]) == ("approved", True)

    _, result = answer(scene.pipeline, scene.declare("x", 2, 1))
    assert [c["class"] for c in result["blocking_report"]["conflicts"]] == ["illegal_transition"]
    _, result = answer(scene.pipeline, scene.declare("z", depends_on=on("x")))
    assert [c["class"] for c in result["blocking_report"]["conflicts"]] == ["missing_dependency"]
    # What was deleted depends on nothing that counts.
    assert answer(scene.pipeline, scene.ask("artifact.delete", {"artifact": scene.id("y")}))[0] == "approved"


def test_a_deletion_for_another_version_than_the_head_is_refused(scene: Scene) -> None:
    asked = {"artifact": scene.id("x"), "if_match": 2}
    assert answer(scene.pipeline, scene.ask("artifact.delete", asked))[1]["code"] == "precondition_failed"
    assert state(scene, "x") == "proposed"


def test_two_ways_at_once_are_none(scene: Scene) -> None:
    asked = {"artifact": scene.id("y"), "cascade": True, "deprecate": True}
    assert answer(scene.pipeline, scene.ask("artifact.delete", asked))[1]["code"] == "invalid_input"


# --- aliases ----------------------------------------------------------------------------------------------------------


def test_an_alias_follows_where_it_is_put_and_remembers_where_it_was(scene: Scene) -> None:
    from metaqore.store import views

    scene.declare("y", 2, 1)
    y, pipeline = scene.id("y"), scene.pipeline
    for version in (1, 2, None):
        request = scene.ask("artifact.alias", {"artifact": y, "alias": "released", "version": version})
        assert answer(pipeline, request)[0] == "approved"
    rows = pipeline.sql("SELECT position, version FROM artifact_aliases ORDER BY position")
    assert [row[1] for row in rows] == [1, 2, None]
    look = views.build(pipeline.database).aliases.aliases
    for position, version in rows:
        seen = [(row["alias"], row["version"]) for row in look(ORGANIZATION, y, at=position)]
        assert seen == ([("released", version)] if version else [])
    assert look(ORGANIZATION, y) == look("other", y, at=rows[0][0]) == []


@pytest.mark.parametrize(
    ("alias", "version", "code"),
    [("latest", 1, "invalid_input"), ("7", 1, "invalid_input"), ("released", 9, "not_found"),
     ("released", None, "not_found")],
)  # fmt: skip
def test_an_alias_that_cannot_be_is_refused(scene: Scene, alias: str, version: int | None, code: str) -> None:
    request = scene.ask("artifact.alias", {"artifact": scene.id("y"), "alias": alias, "version": version})
    assert answer(scene.pipeline, request)[1]["code"] == code


# --- labels -----------------------------------------------------------------------------------------------------------


def label_of(scene: Scene, name: str) -> str:
    rows = scene.pipeline.sql("SELECT label FROM artifacts WHERE project = ? AND name = ?", scene.project, name)
    return str(rows[0][0])


@pytest.mark.parametrize("how", ["depends_on", "read_set"])
def test_an_undeclared_label_is_the_highest_of_the_inputs(pipeline: Pipeline, how: str) -> None:
    scene = Scene(pipeline, "strict")
    scene.declare("low", label="PUBLIC")
    scene.declare("high", label="CRITICAL")
    version = {} if how == "depends_on" else {"version": 1}
    made_from: dict[str, Any] = {how: [*on("low", **version), *on("high", **version)]}
    scene.declare("x", **made_from)
    scene.declare("plain")

    assert [label_of(scene, name) for name in ("x", "plain", "low")] == ["CRITICAL", "INTERNAL", "PUBLIC"]
    assert answer(pipeline, scene.declare("z", label="CRITICAL", **made_from))[0] == "approved"


def test_no_mode_and_no_override_takes_over_a_lower_label(pipeline: Pipeline) -> None:
    for mode in ("adaptive", "playground"):
        scene = Scene(pipeline, mode)
        scene.declare("y", label="SENSITIVE")
        verdict, result = answer(pipeline, scene.declare("y", 2, 1, label="PUBLIC"))
        assert (verdict, result["artifact"]["label"]) == ("approved", "SENSITIVE")
    scene = Scene(pipeline, "strict")
    scene.declare("y", label="SENSITIVE")
    _, result = answer(pipeline, scene.declare("y", 2, 1, label="PUBLIC"))
    conflict = result["blocking_report"]["conflicts"][0]
    assert conflict["evidence"]["sources"] == ["doc/y"]
    asked = {"conflict": conflict["id"], "strategy": "override", "reason": "r", "authority": ["conflicts:override"]}
    verdict, result = answer(pipeline, scene.ask("conflict.resolve", asked, "eve"))
    assert (verdict, result["artifact"]["label"]) == ("approved", "SENSITIVE")


def test_declassifying_appends_the_same_content_under_a_lower_label(pipeline: Pipeline) -> None:
    scene = Scene(pipeline, "strict")
    scene.declare("w")
    scene.declare("y", {"a": 1}, label="SENSITIVE", depends_on=on("w"))
    asked: dict[str, Any] = {"artifact": scene.id("y"), "label": "PUBLIC", "reason": "names are removed"}
    assert answer(pipeline, scene.ask("artifact.declassify", asked))[1]["code"] == "forbidden"
    asked["authority"] = ["labels:declassify"]
    verdict, result = answer(pipeline, scene.ask("artifact.declassify", asked, "eve"))

    assert (verdict, result["artifact"]["version"], result["previous_label"]) == ("approved", 2, "SENSITIVE")
    rows = pipeline.sql("SELECT content, content_hash, label, created_by, body, edges FROM artifact_versions "
                        "WHERE artifact = ? ORDER BY version", scene.id("y"))  # fmt: skip
    assert rows[0][:2] == rows[1][:2]
    assert [(row[2], row[3]) for row in rows] == [("SENSITIVE", "ann"), ("PUBLIC", "eve")]
    assert json.loads(rows[1][4])["provenance"]["declassified"]["reason"] == "names are removed"
    assert rows[1][5] == rows[0][5]
    assert label_of(scene, "y") == "PUBLIC"
    notes = pipeline.sql("SELECT body FROM audit_entries WHERE tag = 'psmp:artifact:declassified'")
    assert json.loads(bytes(notes[0][0]))["about"]["details"] == {"from": "SENSITIVE", "to": "PUBLIC", "version": 2}
    asked["label"] = "SENSITIVE"
    assert answer(pipeline, scene.ask("artifact.declassify", asked))[1]["code"] == "invalid_input"


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_a_chain_of_dependencies_that_is_too_long_is_a_conflict(database: Database) -> None:
    pipeline = Pipeline(database, max_graph_depth=3)
    scene = Scene(pipeline, "strict")
    names = ["a", "b", "c", "d", "e"]
    verdicts = [
        answer(pipeline, scene.declare(name, depends_on=on(names[i - 1]) if i else []))
        for i, name in enumerate(names[:5])
    ]
    assert [verdict for verdict, _ in verdicts] == ["approved"] * 4 + ["blocked"]
    conflict = verdicts[4][1]["blocking_report"]["conflicts"][0]
    evidence = {name: conflict["evidence"][name] for name in ("bound", "limit", "reached")}
    assert evidence == {"bound": "dependency_depth", "limit": 3, "reached": 4}
    # b gives up its dependency: what looked too deep is not, and the true depth is looked up.
    assert answer(pipeline, scene.declare("b", 2, 1))[0] == "approved"
    assert answer(pipeline, scene.declare("e", depends_on=on("d")))[0] == "approved"


def test_dependants_get_deeper_with_what_is_below_them(database: Database) -> None:
    pipeline = Pipeline(database, max_graph_depth=3)
    scene = Scene(pipeline, "strict")
    for name, needs in (("a", []), ("b", []), ("c", on("b")), ("d", on("c"))):
        scene.declare(name, depends_on=needs)
    assert answer(pipeline, scene.declare("b", 2, 1, depends_on=on("a")))[0] == "approved"
    depths = pipeline.sql("SELECT name, depth FROM artifacts ORDER BY name")
    assert depths == [("a", 0), ("b", 1), ("c", 2), ("d", 3)]
    scene.declare("z")
    verdict, result = answer(pipeline, scene.declare("a", 2, 1, depends_on=on("z")))
    assert (verdict, result["blocking_report"]["conflicts"][0]["class"]) == ("blocked", "bound_exceeded")


def test_a_bound_on_depth_is_a_matter_of_the_graph_alone(database: Database) -> None:
    """Whatever came and went before: a chain of more than three is refused, and nothing else."""
    limit, rng = 3, random.Random(7)
    pipeline = Pipeline(database, max_graph_depth=limit)
    scene = Scene(pipeline, "strict")
    edges: dict[str, list[str]] = {name: [] for name in "abcdefgh"}
    versions = dict.fromkeys(edges, 1)
    for name in edges:
        scene.declare(name)
    seen = Counter[str]()
    for _ in range(50):
        name = rng.choice([*edges])
        wanted = rng.sample([other for other in edges if other != name], rng.choice([0, 1, 1, 2]))
        needs = [need for other in wanted for need in on(other)]
        verdict, _ = answer(pipeline, scene.declare(name, rng.random(), versions[name], depends_on=needs))
        expected = "approved" if longest({**edges, name: wanted}) <= limit else "blocked"
        assert verdict == expected, (name, wanted, edges)
        seen[verdict] += 1
        if verdict == "approved":
            edges[name], versions[name] = wanted, versions[name] + 1
    assert min(seen["approved"], seen["blocked"]) > 5
    kept = dict(pipeline.sql("SELECT id, depth FROM artifacts"))
    rows = pipeline.sql("SELECT artifact, depends_on FROM artifact_edges")
    assert all(kept[artifact] > kept[dependency] for artifact, dependency in rows)


def longest(edges: dict[str, list[str]]) -> float:
    """Return the length of the longest chain; without end where there is a cycle."""
    try:
        order = [*TopologicalSorter(edges).static_order()]
    except CycleError:
        return math.inf
    depths: dict[str, int] = {}
    for name in order:
        depths[name] = max((depths[other] + 1 for other in edges[name]), default=0)
    return max(depths.values())


def test_depth_is_the_same_whether_declared_together_or_one_by_one(pipeline: Pipeline) -> None:
    scene = Scene(pipeline, "strict")
    asked = [
        Submission(organization=ORGANIZATION, project=scene.project, principal="ann", kind="artifact.declare",
                   payload={"type": "doc", "name": name, "content": version + 1, "base_version": version,
                            "depends_on": needs})
        for name, version, needs in (
            ("a", 0, []), ("b", 0, []), ("c", 0, on("b")), ("b", 1, on("a")), ("d", 0, on("c")), ("y", 0, []),
            ("a", 1, on("y")),
        )
    ]  # fmt: skip
    pipeline.intake.submit(asked)
    pipeline.executor.drain("psmp")
    depths = pipeline.sql("SELECT name, depth FROM artifacts ORDER BY name")
    assert depths == [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("y", 0)]


def test_a_project_keeps_no_more_blocked_proposals_than_the_policy_allows(database: Database) -> None:
    pipeline = Pipeline(database, max_parallel_branches=2)
    scene = Scene(pipeline, "strict")
    found = [answer(pipeline, scene.declare(f"x{i}", depends_on=on("gone"))) for i in range(3)]
    assert [verdict for verdict, _ in found] == ["blocked"] * 3
    report = found[2][1]["blocking_report"]
    assert report["proposal"] is None
    assert [c["class"] for c in report["conflicts"]] == ["missing_dependency", "bound_exceeded"]
    assert pipeline.sql("SELECT count(*) FROM proposals") == [(2,)]
    states = pipeline.sql("SELECT state, count(*) FROM conflicts GROUP BY state ORDER BY state")
    assert states == [("open", 2), ("recorded", 2)]


def test_a_conversation_has_no_more_turns_than_the_policy_allows(database: Database) -> None:
    pipeline = Pipeline(database, max_conversation_turns=3)
    scene = Scene(pipeline, "strict")
    talk = {"conversation": "c-1"}
    task = Submission(organization=ORGANIZATION, project=scene.project, principal="ann", kind="task.save",
                      payload={"title": "t", "metadata": talk})  # fmt: skip
    pipeline.executor.run_now(task)
    asked = [
        Submission(organization=ORGANIZATION, project=scene.project, principal="ann", kind="artifact.declare",
                   payload={"type": "doc", "name": f"x{i}", "content": i, "metadata": talk}) for i in range(3)
    ]  # fmt: skip
    ids = pipeline.intake.submit(asked).ids
    pipeline.executor.drain("psmp")
    assert [pipeline.row(request)["verdict"] for request in ids] == ["approved", "approved", "blocked"]
    with pytest.raises(MetaQoreError, match="conversation turns would be 4; the policy allows 3"):
        pipeline.executor.run_now(task)
    assert answer(pipeline, scene.declare("other", metadata={"conversation": "c-2"}))[0] == "approved"


# --- quarantine -------------------------------------------------------------------------------------------------------


def test_what_a_principal_has_made_since_a_moment_is_set_aside_in_every_project(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    from metaqore.psmp import quarantine

    monkeypatch.setattr(quarantine, "PAGE", 2)
    one, two = Scene(pipeline, "strict"), Scene(pipeline, "playground")
    one.declare("before", by="eve")
    pipeline.clock.advance(60)
    since = pipeline.clock.now
    for scene in (one, two):
        scene.declare("hers", by="eve")
        scene.declare("his", by="bob")
    one.declare("hers too", by="eve")
    one.move("hers too", "deprecated")
    asked = pipeline.submission("artifact.quarantine", None, principal="eve", since=since)
    pipeline.intake.submit([asked])
    pipeline.settle_all()
    states = {(s.project, n): state(s, n) for s in (one, two) for n in ("hers", "his")}
    assert {key for key, its in states.items() if its == "quarantined"} == {
        (one.project, "hers"),
        (two.project, "hers"),
    }
    assert [state(one, name) for name in ("before", "hers too")] == ["proposed", "deprecated"]
    assert answer(pipeline, one.declare("x", depends_on=on("hers")))[0] == "blocked"


def test_a_refused_move_of_a_project_or_task_is_recorded_as_a_conflict(pipeline: Pipeline) -> None:
    project = pipeline.project("playground")
    run = pipeline.executor.run_now
    task = run(pipeline.submission("task.save", project, title="t")).result["id"]
    before = pipeline.sql("SELECT position FROM projects WHERE id = ?", project)[0][0]

    for kind, subject in (("task.save", task), ("project.save", project)):
        ran = run(pipeline.submission(kind, project, id=subject, state="completed"))
        with pytest.raises(IllegalTransition) as refused:
            check_moved(ran.result)
        row = pipeline.sql(
            "SELECT id, class, state, resolution, mode, project, evidence FROM conflicts WHERE request_id = ?",
            ran.request_id,
        )[0]  # fmt: skip
        assert row[1:6] == ("illegal_transition", "recorded", "refused", "playground", project)
        assert (refused.value.details["conflict"], json.loads(row[6])["subject"]) == (row[0], subject)
        assert pipeline.row(ran.request_id)["verdict"] == "blocked"
    assert pipeline.sql("SELECT state FROM tasks") == [("pending",)]
    assert pipeline.sql("SELECT position, state FROM projects WHERE id = ?", project) == [(before + 2, "initialized")]
    types = [row[0] for row in pipeline.sql("SELECT type FROM events ORDER BY seq DESC LIMIT 2")]
    assert types == ["conflict.detected", "conflict.detected"]
