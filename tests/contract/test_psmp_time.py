"""A project's past can be looked at, named, compared and brought back; nothing of it is ever lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaqore.errors import Conflict, InvalidInput, NotFound
from metaqore.messages import Submission
from metaqore.psmp.checkpoints import parse_point
from metaqore.store.views.psmp import PsmpViews
from metaqore.store.views.psmp_time import TimeViews
from tests.contract.pipeline import ORGANIZATION, START, Pipeline
from tests.contract.test_psmp_modes import declared
from tests.contract.test_sweep import schedules

ANY: dict[str, Any] = {"type": None, "name": None, "state": None, "after": None, "limit": 200}


def decide(pipeline: Pipeline, *asked: Submission) -> list[tuple[str, Any]]:
    """Submit and decide in one batch; return each request's (verdict or state, result or error)."""
    ids = pipeline.intake.submit(asked).ids
    pipeline.executor.drain("psmp")
    rows = [pipeline.row(request) for request in ids]
    return [(row["verdict"] or row["state"], json.loads(row["result"] or row["error"])) for row in rows]


def request(kind: str, project: str, **payload: Any) -> Submission:
    return Submission(organization=ORGANIZATION, project=project, principal="ann", kind=kind, payload=payload)


def restored(pipeline: Pipeline, project: str, to: int | str, **more: Any) -> Any:
    verdict, result = decide(pipeline, request("project.restore", project, to=str(to), **more))[0]
    assert verdict == "approved", result
    return result


def position(pipeline: Pipeline, project: str) -> int:
    return int(pipeline.sql("SELECT position FROM projects WHERE id = ?", project)[0][0])


def artifact_id(pipeline: Pipeline, project: str, name: str) -> str:
    return str(pipeline.sql("SELECT id FROM artifacts WHERE project = ? AND name = ?", project, name)[0][0])


def state_of(views: Any, project: str) -> dict[str, Any]:
    """Return all that can be seen of a project: artifacts with contents, tasks, conflicts, the project itself."""
    artifacts = views.artifacts(ORGANIZATION, project, **ANY).items
    seen = {}
    for row in artifacts:
        whole = views.artifact(ORGANIZATION, row["id"])
        names = ("version", "state", "content_hash", "label", "created_by", "updated_by")
        seen[row["name"]] = {name: row[name] for name in names} | {"content": whole["content"], "body": whole["body"]}
        assert {name: whole[name] for name in names} == {name: row[name] for name in names}
    tasks = views.tasks(ORGANIZATION, project, state=None, assigned_to=None, after=None, limit=200).items
    conflicts = views.conflicts(
        ORGANIZATION, project=project, state=None, severity=None, conflict_class=None, after=None, limit=200
    ).items
    row = views.project(ORGANIZATION, project)
    return {
        "artifacts": seen,
        "tasks": {t["id"]: (t["title"], t["state"], t["assigned_to"], t["version"], t["depends_on"]) for t in tasks},
        "conflicts": {c["id"]: (c["state"], c["resolution"], c["resolved_by"]) for c in conflicts},
        "project": None if row is None else (row["name"], row["mode"], row["state"], row["version"]),
        "standing": views.standing(ORGANIZATION, project),
    }


def members(pipeline: Pipeline, project: str) -> dict[str, Any]:
    """Return what a restore brings back: no version numbers, no authors."""
    seen = state_of(PsmpViews(pipeline.database), project)
    # What lies under a tombstone is its business.
    artifacts = {
        name: (a["content"], a["label"], a["state"], a["body"]["depends_on"])
        if a["state"] != "deleted" else (None, a["label"], "deleted", None)
        for name, a in seen["artifacts"].items()
    }  # fmt: skip
    return {"artifacts": artifacts, "tasks": {i: (t[0], t[1], t[2], t[4]) for i, t in seen["tasks"].items()}}


def differences(pipeline: Pipeline, project: str, start: int, end: int, limit: int = 200) -> list[dict[str, Any]]:
    """Return the whole diff, page by page."""
    found, after = [], None
    while True:
        page, after = TimeViews(pipeline.database).diff(project, start, end, after=after, limit=limit)
        found += [difference.shown() for difference in page]
        if after is None:
            return found


@pytest.fixture
def project(pipeline: Pipeline) -> str:
    """A strict project with x at version 2 (active) and y on top of x, at position 5."""
    made = pipeline.project("strict")
    decide(pipeline, declared(made, "x", "one\n"), declared(made, "x", "two\n", 1),
           declared(made, "y", {"a": 1}, depends_on=["x"]))  # fmt: skip
    decide(pipeline, request("artifact.transition", made, artifact=artifact_id(pipeline, made, "x"), to="active"))
    assert position(pipeline, made) == 5
    return made


# --- positions -------------------------------------------------------------------------------------------------------


def test_each_decision_is_one_position_and_they_are_gapless(pipeline: Pipeline, project: str) -> None:
    other = pipeline.project("strict", "other")
    decide(
        pipeline, declared(project, "z", 1), declared(other, "z", 1), declared(project, "z", 2), declared(other, "q", 1)
    )

    rows = pipeline.sql("SELECT first, last, steps FROM project_history WHERE project = ? ORDER BY last", project)
    assert [(low, high) for low, high, _ in rows] == [(1, 1), (2, 4), (5, 5), (6, 7)]
    assert [len(json.loads(ids)) for _, _, ids in rows] == [1, 3, 1, 2]
    assert position(pipeline, other) == 3


def test_what_could_not_be_decided_is_no_position(pipeline: Pipeline, project: str) -> None:
    assert decide(pipeline, request("artifact.transition", project, artifact="art_none", to="active"))[0][0] == "failed"

    assert position(pipeline, project) == 5


def test_the_times_of_a_history_never_fall(pipeline: Pipeline, project: str) -> None:
    pipeline.clock.advance(-3600)
    decide(pipeline, declared(project, "z", 1))

    times = [row[0] for row in pipeline.sql("SELECT at FROM project_history WHERE project = ? ORDER BY last", project)]
    assert times == sorted(times)


# --- looking back ----------------------------------------------------------------------------------------------------


def test_a_project_can_be_seen_as_it_was_at_each_position(pipeline: Pipeline, project: str) -> None:
    views = TimeViews(pipeline.database)

    seen = [
        {
            row["name"]: (row["version"], row["state"])
            for row in views.at(p).artifacts(ORGANIZATION, project, **ANY).items
        }
        for p in range(6)
    ]

    assert seen == [
        {}, {}, {"x": (1, "proposed")}, {"x": (2, "proposed")}, {"x": (2, "proposed"), "y": (1, "proposed")},
        {"x": (2, "active"), "y": (1, "proposed")},
    ]  # fmt: skip
    assert views.at(0).project(ORGANIZATION, project) is None
    assert views.at(2).artifact(ORGANIZATION, artifact_id(pipeline, project, "x"))["content"] == "one\n"  # type: ignore[index]
    assert views.at(5).artifacts(ORGANIZATION, project, **{**ANY, "state": "active"}).items[0]["name"] == "x"
    assert views.at(4).artifacts(ORGANIZATION, project, **{**ANY, "state": "active"}).items == []


def test_a_time_names_the_last_commit_until_then(pipeline: Pipeline) -> None:
    made = pipeline.project("strict")
    for seconds in (10, 20):
        pipeline.clock.now = START + seconds * 1000
        decide(pipeline, declared(made, f"at-{seconds}", 1), declared(made, f"also-at-{seconds}", 1))
    views, found = TimeViews(pipeline.database), []

    pipeline.clock.now = START + 30_000
    for asked in ("2027-01-15T07:59:59Z", "2027-01-15T08:00:09.999Z", "2027-01-15T08:00:10Z", "2027-01-15T08:00:25Z"):
        with pipeline.store.write() as tx:
            place = tx.reads("psmp").place(ORGANIZATION, made, parse_point(asked), pipeline.clock.now, "as_of")
        found.append(place.position)

    assert found == [0, 1, 3, 5]
    with pytest.raises(InvalidInput, match="yet to come"):
        views.place(ORGANIZATION, made, parse_point("9999-01-01T00:00:00Z"), "as_of")


@pytest.mark.parametrize("asked", ["6", "no-such", "chk_0", "999999999999999"])
def test_a_moment_that_the_project_does_not_have_is_refused(pipeline: Pipeline, project: str, asked: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        TimeViews(pipeline.database).place(ORGANIZATION, project, parse_point(asked), "as_of")

    assert refused.value.details["errors"][0]["pointer"] == "/as_of"


@pytest.mark.parametrize(
    "asked", ["", "-1", "1.5", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00", "a b", "1" * 16, "²"]
)
def test_a_text_that_names_no_moment_is_refused(asked: str) -> None:
    with pytest.raises(InvalidInput):
        parse_point(asked)


def test_conflicts_and_the_blocking_report_are_seen_as_they_were(pipeline: Pipeline, project: str) -> None:
    assert decide(pipeline, declared(project, "w", 1, depends_on=["v"]))[0][0] == "blocked"  # 6
    decide(pipeline, declared(project, "v", 1))  # 7
    conflict = pipeline.sql("SELECT id FROM conflicts")[0][0]
    decide(pipeline, request("conflict.resolve", project, conflict=conflict, strategy="retry"))  # 8
    views = TimeViews(pipeline.database)

    states = []
    for p in range(5, 9):
        row = views.at(p).conflict(ORGANIZATION, conflict)
        blocked = views.at(p).blocked(ORGANIZATION, project, after=None, limit=10).items
        names = [item["artifact"]["name"] for item in blocked]
        states.append((row and (row["state"], row["resolution"]), names,
                       views.at(p).standing(ORGANIZATION, project)["open"]))  # fmt: skip

    assert states == [
        (None, [], 0),
        (("open", None), ["w"], 1),
        (("open", None), ["w"], 1),
        (("resolved", "retry"), [], 0),
    ]


# --- checkpoints -----------------------------------------------------------------------------------------------------


def checkpoint(pipeline: Pipeline, project: str, name: str, **more: Any) -> Any:
    return pipeline.executor.run_now(request("checkpoint.create", project, name=name, **more)).result


def test_a_checkpoint_names_a_position_and_copies_nothing(pipeline: Pipeline, project: str) -> None:
    tables = ("artifact_versions", "record_history", "project_history")
    before = [pipeline.sql(f"SELECT count(*) FROM {table}") for table in tables]

    now = checkpoint(pipeline, project, "now")
    then = checkpoint(pipeline, project, "then", at="3", note="before y")

    assert (now["position"], then["position"]) == (5, 3)
    assert [pipeline.sql(f"SELECT count(*) FROM {table}") for table in tables] == before
    views = TimeViews(pipeline.database)
    for asked in ("then", then["id"]):
        place = views.place(ORGANIZATION, project, parse_point(asked), "as_of")
        assert place is not None and place.position == 3
    listed = views.checkpoints(ORGANIZATION, project, after=None, limit=10).items
    assert [(row["name"], row["position"]) for row in listed] == [("now", 5), ("then", 3)]


def test_a_name_is_taken_once_and_free_after_deletion(pipeline: Pipeline, project: str) -> None:
    first = checkpoint(pipeline, project, "release")
    with pytest.raises(Conflict, match="exists already"):
        checkpoint(pipeline, project, "release")

    pipeline.executor.run_now(request("checkpoint.delete", project, checkpoint=first["id"]))

    assert checkpoint(pipeline, project, "release")["id"] != first["id"]
    with pytest.raises(NotFound):
        pipeline.executor.run_now(request("checkpoint.delete", project, checkpoint=first["id"]))
    assert pipeline.sql("SELECT count(*) FROM audit_entries WHERE tag = 'psmp:checkpoint:deleted'") == [(1,)]


def test_a_checkpoint_is_read_and_deleted_by_its_name_too_in_its_own_project_alone(
    pipeline: Pipeline, project: str
) -> None:
    made, elsewhere = checkpoint(pipeline, project, "release"), pipeline.project()
    views = TimeViews(pipeline.database)

    for named in ("release", made["id"]):
        row = views.checkpoint(ORGANIZATION, project, named)
        assert row is not None and row["id"] == made["id"]
        assert views.checkpoint("another", project, named) is None
        with pytest.raises(NotFound):
            pipeline.executor.run_now(request("checkpoint.delete", elsewhere, checkpoint=named))
    gone = pipeline.executor.run_now(request("checkpoint.delete", project, checkpoint="release"))

    assert gone.result["deleted"] == [made["id"]]
    assert views.checkpoint(ORGANIZATION, project, "release") is None


@pytest.mark.parametrize("name", ["", "1", "chk_x", "a b", "2026-01-01T00:00:00Z", "x" * 101])
def test_a_name_that_could_mean_something_else_is_refused(pipeline: Pipeline, project: str, name: str) -> None:
    with pytest.raises(InvalidInput):
        checkpoint(pipeline, project, name)


def test_whoever_names_a_checkpoint_uses_it(pipeline: Pipeline, project: str) -> None:
    """Open approvals, blocked proposals and running replays keep it, until they are done."""
    run = pipeline.executor.run_now
    made = checkpoint(pipeline, project, "base", expires_at=pipeline.clock.now + 1000)["id"]
    unused = checkpoint(pipeline, project, "unused", expires_at=pipeline.clock.now + 1000)["id"]
    about = {"subject_kind": "rollback", "subject": "s", "content_hash": "0" * 64, "author": "ann"}
    decide(
        pipeline, request("approval.open", project, **about, base={"from": [made]}),
        declared(project, "blocked", 1, None, "bob", ["gone"]),
    )  # fmt: skip
    late = request("artifact.declare", project, type="doc", name="late", content=1, depends_on=[{"type": "doc",
                   "name": "gone"}], metadata={"restored_to": {"checkpoint": "base"}})  # fmt: skip
    decide(pipeline, late)
    run(request("checkpoint.hold", project, checkpoint=made, by="a replay", for_s=60))
    approval = pipeline.sql("SELECT id FROM approvals")[0][0]
    proposal = pipeline.sql("SELECT id FROM proposals WHERE name = 'late'")[0][0]

    def users() -> list[str]:
        with pytest.raises(Conflict, match="in use by") as refused:
            run(request("checkpoint.delete", project, checkpoint=made))
        found: list[str] = refused.value.details["used_by"]
        return found

    assert users() == [approval, proposal, "a replay"]
    pipeline.clock.advance(30)
    assert decide(pipeline, Submission(organization=ORGANIZATION, project=None, principal="x", kind="checkpoint.prune",
                                       payload={}))[0][1]["deleted"] == [unused]  # fmt: skip
    run(request("checkpoint.hold", project, checkpoint=made, by="a replay", for_s=0))
    assert users() == [approval, proposal]
    decide(pipeline, request("approval.answer", project, approval=approval, answer="deny",
                             authority=["approvals:answer"]))  # fmt: skip
    assert users() == [proposal]
    decide(pipeline, request("proposal.withdraw", project, proposal=proposal))
    assert run(request("checkpoint.delete", project, checkpoint=made)).result["deleted"] == [made]


def test_a_checkpoint_in_use_is_neither_deleted_nor_pruned(pipeline: Pipeline, project: str) -> None:
    made = checkpoint(pipeline, project, "c", at="3", expires_at=pipeline.clock.now + 1000)
    other = checkpoint(pipeline, project, "d", expires_at=pipeline.clock.now + 1000)
    kept = checkpoint(pipeline, project, "e", expires_at=pipeline.clock.now + 100_000)
    pipeline.clock.advance(5)
    waiting = request("project.restore", project, to="c", position=3, checkpoint=made["id"])
    restore = pipeline.intake.submit([waiting]).ids[0]

    with pytest.raises(Conflict, match=restore):
        pipeline.executor.run_now(request("checkpoint.delete", project, checkpoint=made["id"]))
    with pipeline.store.write() as tx:
        due = tx.reads("psmp").due_checkpoints(ORGANIZATION, pipeline.clock.now, 10)
    assert [found.id for found in due] == [other["id"]]

    pipeline.executor.drain("psmp")
    schedules(pipeline).fire("purge", 3600.0)
    pipeline.executor.drain("psmp")
    left = TimeViews(pipeline.database).checkpoints(ORGANIZATION, project, after=None, limit=10).items
    assert [row["id"] for row in left] == [kept["id"]]


# --- diff ------------------------------------------------------------------------------------------------------------


def test_a_diff_says_what_was_added_changed_moved_and_removed(pipeline: Pipeline, project: str) -> None:
    found = {item["title"]: item for item in differences(pipeline, project, 2, 5)}
    back = {item["title"]: item["change"] for item in differences(pipeline, project, 5, 2)}
    moved = differences(pipeline, project, 4, 5)

    assert {title: item["change"] for title, item in found.items()} == {"doc/x": "changed", "doc/y": "added"}
    assert found["doc/x"]["differs"] == ["content", "state"]
    assert (found["doc/x"]["from"]["version"], found["doc/x"]["to"]["version"]) == (1, 2)
    assert found["doc/y"]["from"] is None
    assert back == {"doc/x": "changed", "doc/y": "removed"}
    assert [(item["title"], item["change"]) for item in moved] == [("doc/x", "moved")]
    assert differences(pipeline, project, 3, 3) == []


def test_a_diff_is_the_same_whatever_the_size_of_its_pages(
    pipeline: Pipeline, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(pipeline, *(declared(project, f"n{i}", i) for i in range(12)))
    decide(pipeline, *(declared(project, f"n{i}", -i, 1) for i in range(0, 12, 3)))

    whole = differences(pipeline, project, 0, position(pipeline, project))

    assert len(whole) == 14
    for limit in (1, 3, 5):
        assert differences(pipeline, project, 0, position(pipeline, project), limit) == whole
    monkeypatch.setattr("metaqore.store.views.psmp_time._DIFF_SCAN", 2)
    monkeypatch.setattr("metaqore.store.repositories.psmp_past._COMMITS", 1)
    assert differences(pipeline, project, 0, position(pipeline, project), 2) == whole


# --- restore ---------------------------------------------------------------------------------------------------------


def test_a_restore_appends_and_reports_what_it_did(pipeline: Pipeline, project: str) -> None:
    result = restored(pipeline, project, 2)

    assert (result["before"], result["position"], position(pipeline, project)) == (5, 6, 6)
    assert {m["title"]: m["did"] for m in result["members"] if m["did"] != "moved"} == {
        "doc/x": "restored", "doc/y": "deprecated"
    }  # fmt: skip
    assert result["built_since"][0]["title"] == "doc/y"
    assert members(pipeline, project)["artifacts"]["x"][:3] == ("one\n", "INTERNAL", "proposed")
    versions = pipeline.sql("SELECT version, content FROM artifact_versions WHERE artifact = ? ORDER BY version",
                            artifact_id(pipeline, project, "x"))  # fmt: skip
    assert [(n, json.loads(content)) for n, content in versions] == [(1, "one\n"), (2, "two\n"), (3, "one\n")]
    assert [d["change"] for d in differences(pipeline, project, 2, 6)] == ["added"]
    assert pipeline.sql("SELECT type FROM events ORDER BY seq DESC LIMIT 1") == [("project.restored",)]


def test_undoing_a_restore_brings_the_state_before_it_back(pipeline: Pipeline, project: str) -> None:
    before = members(pipeline, project)
    first = restored(pipeline, project, 2)
    assert members(pipeline, project) != before

    restored(pipeline, project, first["before"])

    assert members(pipeline, project) == before
    again = restored(pipeline, project, first["before"])
    assert (again["counts"].keys(), again["members"]) == ({"unchanged"}, [])
    assert members(pipeline, project) == before


def test_a_restore_turns_dependencies_round_without_closing_a_cycle(pipeline: Pipeline) -> None:
    made = pipeline.project("strict")
    decide(pipeline, declared(made, "a", 1), declared(made, "b", 1, depends_on=["a"]))
    then = position(pipeline, made)
    decide(pipeline, declared(made, "b", 2, 1), declared(made, "a", 2, 1, depends_on=["b"]))

    restored(pipeline, made, then)

    edges = pipeline.sql("SELECT x.name, y.name FROM artifact_edges e JOIN artifacts x ON x.id = e.artifact "
                         "JOIN artifacts y ON y.id = e.depends_on")  # fmt: skip
    assert edges == [("b", "a")]
    pipeline.check_ranks()


def test_a_dependency_that_was_missing_then_does_not_become_an_edge(pipeline: Pipeline) -> None:
    made = pipeline.project("playground")
    decide(pipeline, declared(made, "a", 1, depends_on=["late"]))
    then = position(pipeline, made)
    decide(pipeline, declared(made, "late", 1, depends_on=["a"]), declared(made, "a", 2, 1))
    pipeline.executor.run_now(request("project.save", made, id=made, mode="strict"))

    restored(pipeline, made, then, created_since="keep")

    edges = pipeline.sql("SELECT x.name, y.name FROM artifact_edges e JOIN artifacts x ON x.id = e.artifact "
                         "JOIN artifacts y ON y.id = e.depends_on")  # fmt: skip
    assert edges == [("late", "a")]


def test_a_dependency_let_through_is_no_edge_after_a_restore_either(pipeline: Pipeline) -> None:
    made = pipeline.project("playground")
    decide(pipeline, declared(made, "a", 1, depends_on=["late"]))
    then = position(pipeline, made)
    decide(pipeline, declared(made, "late", 1), declared(made, "a", 2, 1))

    restored(pipeline, made, then, created_since="keep")

    assert pipeline.sql("SELECT count(*) FROM artifact_edges") == [(0,)]


def labelled(project: str, name: str, content: Any, label: str, base: int | None = None) -> Submission:
    return request("artifact.declare", project, type="doc", name=name, content=content, label=label, base_version=base)


def test_a_restore_that_would_lower_a_label_is_refused_unless_labels_are_kept(pipeline: Pipeline) -> None:
    made = pipeline.project("strict")
    decide(pipeline, labelled(made, "x", "public", "PUBLIC"), labelled(made, "x", "secret", "CRITICAL", 1))
    before = members(pipeline, made)

    verdict, result = decide(pipeline, request("project.restore", made, to="2"))[0]

    assert verdict == "blocked"
    conflict = result["blocking_report"]["conflicts"][0]
    assert (conflict["class"], conflict["evidence"]["then"], conflict["evidence"]["label"]) == (
        "label_lowered", "PUBLIC", "CRITICAL")  # fmt: skip
    assert members(pipeline, made) == before
    restored(pipeline, made, 2, labels="keep")
    assert members(pipeline, made)["artifacts"]["x"][:2] == ("public", "CRITICAL")


def test_labels_that_are_kept_are_those_that_are_inherited(pipeline: Pipeline) -> None:
    made = pipeline.project("strict")
    decide(pipeline, labelled(made, "in", 1, "PUBLIC"), labelled(made, "out", 1, "PUBLIC"))
    on_it = [{"type": "doc", "name": "in"}]
    decide(
        pipeline, request("artifact.declare", made, type="doc", name="out", content=2, base_version=1, depends_on=on_it)
    )
    then = position(pipeline, made)
    decide(pipeline, request("artifact.declare", made, type="doc", name="out", content=3, base_version=2))
    decide(pipeline, labelled(made, "in", 2, "CRITICAL", 1))
    out = artifact_id(pipeline, made, "out")

    restored(pipeline, made, then, labels="keep", only=[out])

    assert members(pipeline, made)["artifacts"]["out"][:2] == (2, "CRITICAL")


def test_parts_can_be_restored_alone(pipeline: Pipeline, project: str) -> None:
    x = artifact_id(pipeline, project, "x")

    result = restored(pipeline, project, 2, only=[x])

    assert {m["id"] for m in result["members"]} == {x}
    assert members(pipeline, project)["artifacts"]["y"][2] == "proposed"
    verdict, error = decide(pipeline, request("project.restore", project, to="2", only=["art_none"]))[0]
    assert (verdict, error["code"]) == ("failed", "not_found")


def test_a_restore_that_is_too_large_says_how_to_go_on(
    pipeline: Pipeline, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metaqore.psmp.restore.MAX_MEMBERS", 1)
    verdict, error = decide(pipeline, request("project.restore", project, to="2"))[0]
    assert (verdict, error["code"]) == ("failed", "restore_too_large")
    assert "only" in error["message"]

    monkeypatch.setattr("metaqore.psmp.restore.MAX_MEMBERS", 10)
    monkeypatch.setattr("metaqore.psmp.restore.MAX_BYTES", 3)
    assert decide(pipeline, request("project.restore", project, to="2"))[0][1]["code"] == "restore_too_large"


def test_aliases_point_again_where_they_pointed(pipeline: Pipeline, project: str) -> None:
    x = artifact_id(pipeline, project, "x")
    tag = {"artifact": x, "alias": "released"}
    decide(pipeline, request("artifact.alias", project, **tag, version=1))
    then = position(pipeline, project)
    decide(pipeline, request("artifact.alias", project, **tag, version=2))
    decide(pipeline, request("artifact.alias", project, artifact=x, alias="tested", version=2))
    found = differences(pipeline, project, then, position(pipeline, project))
    assert [(d["title"], d["change"], d["differs"]) for d in found] == [("doc/x", "changed", ["aliases"])]

    result = restored(pipeline, project, then)

    assert result["members"][0]["aliases"] == {"released": 1, "tested": None}
    with pipeline.store.read() as tx:
        assert tx.reads("psmp").aliases(x) == {"released": 1}
    assert differences(pipeline, project, then, result["position"]) == []


def test_what_was_deleted_comes_back_and_goes_again(pipeline: Pipeline, project: str) -> None:
    then = position(pipeline, project)
    decide(pipeline, request("artifact.delete", project, artifact=artifact_id(pipeline, project, "y")))

    first = restored(pipeline, project, then)

    assert members(pipeline, project)["artifacts"]["y"][2] == "proposed"
    assert differences(pipeline, project, then, first["position"]) == []
    restored(pipeline, project, first["before"])
    assert members(pipeline, project)["artifacts"]["y"][2] == "deleted"


def test_tasks_are_restored_and_new_ones_cancelled(pipeline: Pipeline, project: str) -> None:
    run = pipeline.executor.run_now
    task = run(request("task.save", project, title="first", assigned_to="ann")).result["id"]
    then = position(pipeline, project)
    run(request("task.save", project, id=task, title="changed", state="in_progress", assigned_to=None))
    late = run(request("task.save", project, title="late")).result["id"]

    restored(pipeline, project, then)

    tasks = members(pipeline, project)["tasks"]
    assert tasks[task] == ("first", "pending", "ann", [])
    assert tasks[late][1] == "cancelled"


def test_what_was_erased_is_not_brought_back(pipeline: Pipeline, project: str) -> None:
    task = pipeline.executor.run_now(request("task.save", project, title="secret")).result["id"]
    then = position(pipeline, project)
    pipeline.change(
        "UPDATE artifact_versions SET content = 'null', content_hash = 'erased', body = ? WHERE version = 1",
        '{"depends_on":[],"requires":{},"claims":[],"metadata":{}}',
    )
    pipeline.change("UPDATE record_history SET document = '{}' WHERE subject = ?", task)

    result = restored(pipeline, project, 2)

    kept = {m["title"]: m for m in result["members"] if m["kind"] == "artifact"}
    assert (kept["doc/x"]["did"], "erased" in kept["doc/x"]["because"]) == ("kept", True)
    assert members(pipeline, project)["artifacts"]["x"][0] == "two\n"
    seen = TimeViews(pipeline.database).at(then).task(ORGANIZATION, task)
    assert seen is not None and (seen["title"], seen["metadata"], seen["state"]) == ("erased", {}, "pending")


def test_a_restore_is_one_commit(pipeline: Pipeline, project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from metaqore import failpoints

    before = members(pipeline, project)
    asked = pipeline.intake.submit([request("project.restore", project, to="2")]).ids[0]
    monkeypatch.setattr(failpoints, "_active", failpoints._parse("worker.in_finish_tx:raise"))
    with pytest.raises(failpoints.FailpointError):
        pipeline.executor.drain("psmp")
    assert (members(pipeline, project), position(pipeline, project)) == (before, 5)

    monkeypatch.setattr(failpoints, "_active", {})
    pipeline.executor.drain("psmp")
    assert (pipeline.states([asked]), position(pipeline, project)) == (["succeeded"], 6)


# --- any history -----------------------------------------------------------------------------------------------------

NAMES = "abc"
steps = st.one_of(
    st.tuples(
        st.just("declare"), st.sampled_from(NAMES), st.integers(0, 3), st.lists(st.sampled_from(NAMES), max_size=1)
    ),
    st.tuples(st.just("move"), st.sampled_from(NAMES), st.sampled_from(["active", "deprecated"])),
    st.tuples(st.just("delete"), st.sampled_from(NAMES), st.booleans()),
    st.tuples(st.just("claim"), st.sampled_from(NAMES), st.sampled_from(["src/**", "src/a.py", "docs/*"])),
    st.tuples(st.just("task"), st.integers(0, 1), st.sampled_from(["pending", "in_progress", "blocked", "completed"])),
    st.tuples(st.just("resolve"), st.sampled_from(["retry", "merge", "override"])),
    st.tuples(st.just("mode"), st.sampled_from(["strict", "adaptive", "playground"])),
)


class History:
    """A project that remembers what it looked like after each decision."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.project = pipeline.project("strict")
        self.tasks: list[str] = []
        self.seen: dict[int, Any] = {}
        self.look()

    def look(self) -> None:
        self.seen[position(self.pipeline, self.project)] = state_of(PsmpViews(self.pipeline.database), self.project)

    def step(self, step: Any) -> None:
        """Take a step, whatever becomes of it."""
        getattr(self, f"_{step[0]}")(*step[1:])
        self.look()

    def _heads(self) -> dict[str, tuple[str, int]]:
        rows = self.pipeline.sql("SELECT name, id, head FROM artifacts WHERE project = ?", self.project)
        return {name: (identifier, head) for name, identifier, head in rows}

    def _declare(self, name: str, content: int, depends_on: list[str]) -> None:
        head = self._heads().get(name, ("", 0))[1]
        # Now and then from a version that is not the newest.
        base = max(head - (content == 3), 0) or None
        decide(self.pipeline, declared(self.project, name, {"v": content, name: 1}, base, depends_on=depends_on))

    def _move(self, name: str, to: str) -> None:
        found = self._heads().get(name)
        if found is not None:
            decide(self.pipeline, request("artifact.transition", self.project, artifact=found[0], to=to))

    def _delete(self, name: str, cascade: bool) -> None:
        found = self._heads().get(name)
        if found is not None:
            decide(self.pipeline, request("artifact.delete", self.project, artifact=found[0], cascade=cascade))

    def _claim(self, name: str, path: str) -> None:
        head = self._heads().get(name, ("", 0))[1] or None
        asked = {"type": "doc", "name": name, "content": path, "base_version": head, "claims": [path],
                 "requires": [{"name": "flask", "specifier": ">=2"}]}  # fmt: skip
        decide(self.pipeline, request("artifact.declare", self.project, **asked))

    def _task(self, index: int, to: str) -> None:
        run = self.pipeline.executor.run_now
        if index >= len(self.tasks):
            self.tasks.append(str(run(request("task.save", self.project, title="t")).result["id"]))
            return
        try:
            run(request("task.save", self.project, id=self.tasks[index], state=to, assigned_to=to))
        except Conflict:
            return

    def _resolve(self, strategy: str) -> None:
        rows = self.pipeline.sql(
            "SELECT id FROM conflicts WHERE project = ? AND state = 'open' ORDER BY id", self.project
        )
        if rows:
            asked = {"conflict": rows[0][0], "strategy": strategy, "authority": ["conflicts:override"], "reason": "so"}
            decide(self.pipeline, request("conflict.resolve", self.project, **asked))

    def _mode(self, mode: str) -> None:
        self.pipeline.executor.run_now(request("project.save", self.project, id=self.project, mode=mode))


@settings(max_examples=12)
@given(taken=st.lists(steps, min_size=3, max_size=14), back=st.integers(1, 14))
def test_any_past_is_as_it_was_remembered_and_can_be_brought_back(
    pipeline: Pipeline, taken: list[Any], back: int
) -> None:
    history = History(pipeline)
    for step in taken:
        history.step(step)
    now = position(pipeline, history.project)
    assert sorted(history.seen) == list(range(1, now + 1))
    for p, remembered in history.seen.items():
        assert state_of(TimeViews(pipeline.database).at(p), history.project) == remembered

    then = min(back, now)
    before = members(pipeline, history.project)
    first = restored(pipeline, history.project, then)
    left = differences(pipeline, history.project, then, first["position"])
    assert [d for d in left if d["change"] != "added"] == []
    assert all(d["to"]["state"] in ("deprecated", "cancelled", "completed") for d in left)
    restored(pipeline, history.project, first["before"])
    assert members(pipeline, history.project) == before
    for p, remembered in history.seen.items():
        assert state_of(TimeViews(pipeline.database).at(p), history.project) == remembered
