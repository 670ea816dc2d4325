"""Work that is done or announced already: intents, and the same content under another name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metaqore.clock import from_rfc3339
from metaqore.messages import Submission
from metaqore.store.views import build
from tests.contract.deciding import WORK, Decided, asked, decide, decide_one, declared
from tests.contract.pipeline import Pipeline

BATCHED = [False, True]


def intent(project: str, *, by: str = "ann", seconds: int = 60, purpose: str = "rewrite it", **more: Any) -> Submission:
    return asked(project, "intent.announce", by=by, purpose=purpose, expires_in_s=seconds, **more)


def doc(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [{"type": "doc", "name": name, **more} for name in names]


def warnings(answer: Decided) -> list[tuple[str, str, str]]:
    return sorted((w["warning"], w["target"], w["with"].get("principal", "")) for w in answer.result["warnings"])


@pytest.mark.parametrize("batched", BATCHED)
@pytest.mark.parametrize(
    ("mode", "verdict", "how"),
    [("strict", "blocked", None), ("adaptive", "approved", "linked"), ("playground", "approved", "let_through")],
)
def test_the_same_content_under_another_name(
    pipeline: Pipeline, mode: str, verdict: str, how: str | None, batched: bool
) -> None:
    p = pipeline.project(mode)
    first, second = decide(pipeline, [declared(p, "x", WORK), declared(p, "y", WORK, by="bob")], batched=batched)
    assert first.seen == ("approved", [])
    assert second.seen == (verdict, ["duplicate_work"])
    twin = second.evidence["duplicate_of"]
    assert (twin["name"], twin["version"], twin["by"]) == ("x", 1, "ann")
    assert second.conflicts[0]["severity"] == "low"
    assert second.conflicts[0].get("resolution") == how
    if mode == "adaptive":
        body = json.loads(pipeline.sql("SELECT body FROM artifact_versions ORDER BY created_at, artifact DESC")[0][0])
        bodies = [json.loads(row[0]) for row in pipeline.sql("SELECT body FROM artifact_versions")]
        assert [b["provenance"]["duplicate_of"] for b in bodies if "provenance" in b] == [twin], body


@pytest.mark.parametrize("batched", BATCHED)
def test_a_copy_of_ones_own_is_warned_of_and_in_nobodys_way(pipeline: Pipeline, batched: bool) -> None:
    p = pipeline.project("strict")
    verdicts = decide(pipeline, [
        declared(p, "x", WORK), declared(p, "y", WORK), declared(p, "z", WORK), declared(p, "w", WORK, by="bob"),
        declared(p, "v", f"{WORK} Twice.", by="bob"), declared(p, "v", WORK, base_version=1),
        declared(p, "x", f"{WORK} Never.", base_version=1), declared(p, "u", f"{WORK} Twice."),
    ], batched=batched)  # fmt: skip
    assert [v.classes for v in verdicts] == [[], [], [], ["duplicate_work"], [], [], [], []]
    warned = [v.result.get("warnings", [{}])[0].get("duplicate_of", {}).get("name") for v in verdicts]
    assert warned == [None, "x", "x", None, None, "x", None, None]
    assert pipeline.sql("SELECT count(*) FROM conflicts WHERE class = 'duplicate_work'") == [(1,)]


@pytest.mark.parametrize("batched", BATCHED)
def test_behind_copies_of_ones_own_somebody_elses_is_found(pipeline: Pipeline, batched: bool) -> None:
    p = pipeline.project("playground")
    names = [declared(p, f"n{i}", WORK) for i in range(4)]
    verdicts = decide(pipeline, [*names, declared(p, "o", WORK, by="bob"), declared(p, "p", WORK)], batched=batched)
    assert [v.classes for v in verdicts] == [[]] * 4 + [["duplicate_work"]] * 2
    assert verdicts[-1].evidence["duplicate_of"]["name"] == "o"


def test_a_content_that_says_nothing_is_no_duplicate(pipeline: Pipeline) -> None:
    p = pipeline.project()
    contents: list[Any] = [{}, "", None, [], {"files": {}}, "todo", {"text": "x" * 400}]
    twice = [declared(p, f"{name}{i}", content) for i, content in enumerate(contents) for name in ("x", "y")]
    assert {tuple(v.classes) for v in decide(pipeline, twice, batched=True)} == {()}


@pytest.mark.parametrize("batched", BATCHED)
def test_only_present_contents_are_duplicates(pipeline: Pipeline, batched: bool) -> None:
    p, q = pipeline.project(name="p"), pipeline.project(name="q")
    verdicts = decide(pipeline, [
        declared(p, "x", WORK), declared(p, "x", f"{WORK} Twice.", base_version=1), declared(p, "y", WORK, by="bob"),
        declared(p, "y", WORK, base_version=1, by="bob"), declared(q, "y", WORK),
        declared(p, "x", WORK, base_version=2),
    ], batched=batched)  # fmt: skip
    assert [v.classes for v in verdicts] == [[], [], [], [], [], ["duplicate_work"]]


@pytest.mark.parametrize("batched", BATCHED)
def test_among_many_copies_a_deprecated_one_does_not_count(pipeline: Pipeline, batched: bool) -> None:
    p = pipeline.project("playground")
    made = decide(pipeline, [declared(p, f"n{i}", WORK) for i in range(3)], batched=batched)
    for i in (0, 2):
        decide_one(
            pipeline, asked(p, "artifact.transition", artifact=made[i].result["artifact"]["id"], to="deprecated")
        )
    assert decide_one(pipeline, declared(p, "x", WORK, by="bob")).evidence["duplicate_of"]["name"] == "n1"
    decide_one(pipeline, asked(p, "artifact.transition", artifact=made[1].result["artifact"]["id"], to="deprecated"))
    assert decide_one(pipeline, declared(pipeline.project(name="other"), "x", WORK)).classes == []


@pytest.mark.parametrize(
    ("mode", "verdict"), [("strict", "blocked"), ("adaptive", "approved"), ("playground", "approved")]
)
def test_what_somebody_else_has_announced_is_duplicate_work(pipeline: Pipeline, mode: str, verdict: str) -> None:
    p = pipeline.project(mode)
    announced = decide_one(pipeline, intent(p, writes=doc("x"))).result["intent"]
    other = decide_one(pipeline, declared(p, "x", "by bob", by="bob"))
    assert other.seen == (verdict, ["duplicate_work"])
    assert other.evidence["intents"][0]["holder"] == announced["id"]
    if mode == "adaptive":
        assert other.result["provenance"]["announced_by"] == {announced["id"]: "ann"}


def test_a_declaration_fulfils_the_intent_that_it_names(pipeline: Pipeline) -> None:
    p = pipeline.project()
    name = decide_one(pipeline, intent(p, writes=doc("x", "y"), claims=["src/**"])).result["intent"]["id"]
    half, foreign, whole, after = decide(pipeline, [
        declared(p, "x", intent=name), declared(p, "z", claims=["src/z"], by="bob", intent=name),
        declared(p, "y", intent=name), declared(p, "z", claims=["src/z"], by="bob", intent=name),
    ])  # fmt: skip
    assert half.result["intent"] == {"id": name, "state": "open", "remaining": ["doc/y"]}
    assert foreign.classes == ["claim_collision"]
    assert whole.result["intent"]["state"] == "fulfilled"
    assert after.verdict == "approved"
    assert after.result["intent"]["state"] == "unknown"
    assert pipeline.sql("SELECT state FROM intents") == [("fulfilled",)]
    assert pipeline.sql("SELECT type FROM events WHERE subject = ? ORDER BY seq", name) == [
        ("intent.announced",), ("intent.fulfilled",),
    ]  # fmt: skip
    noted = pipeline.sql("SELECT count(*) FROM audit_entries WHERE tag = 'psmp:intent:fulfilled'")
    assert noted == [(1,)]


def test_two_writes_in_one_batch_fulfil_their_intent(pipeline: Pipeline) -> None:
    p = pipeline.project()
    name = decide_one(pipeline, intent(p, writes=doc("x", "y"))).result["intent"]["id"]
    asked_for = [
        declared(p, "x", intent=name),
        declared(p, "y", intent=name),
        declared(p, "y", 2, base_version=1, by="bob"),
    ]
    verdicts = decide(pipeline, asked_for, batched=True)
    assert [v.result.get("intent", {}).get("state") for v in verdicts] == ["open", "fulfilled", None]
    assert pipeline.sql("SELECT count(*) FROM claims") == [(0,)]


def test_an_intent_binds_nobody_after_its_time(pipeline: Pipeline) -> None:
    p = pipeline.project()
    name = decide_one(pipeline, intent(p, writes=doc("x"), claims=["src/**"], seconds=60)).result["intent"]["id"]
    assert decide_one(pipeline, declared(p, "a", claims=["src/a"], by="bob")).classes == ["claim_collision"]
    pipeline.clock.advance(61)
    assert decide_one(pipeline, declared(p, "a", claims=["src/a"], by="bob")).seen == ("approved", [])
    late = decide_one(pipeline, declared(p, "x", intent=name))
    assert late.result["intent"] == {"id": name, "state": "expired"}
    views = build(pipeline.database).holdings
    assert [
        i["state"] for i in views.intents("acme", p, state=None, now=pipeline.clock.now, after=None, limit=9).items
    ] == ["expired"]
    decide_one(pipeline, intent(p, writes=doc("y")))
    assert pipeline.sql("SELECT state FROM intents WHERE id = ?", name) == [("expired",)]
    assert pipeline.sql("SELECT count(*) FROM claims WHERE holder = ?", name) == [(0,)]


def test_of_two_who_announce_the_same_the_first_goes_first(pipeline: Pipeline) -> None:
    p = pipeline.project()
    decide(
        pipeline,
        [intent(p, writes=doc("x"), claims=["src/**"]), intent(p, writes=doc("x"), claims=["src/x"], by="bob")],
    )
    second = decide_one(pipeline, declared(p, "x", by="bob", claims=["src/x"]))
    assert second.classes == ["claim_collision", "duplicate_work"]
    assert decide_one(pipeline, declared(p, "x", by="ann", claims=["src/x"])).seen == ("approved", [])


def test_the_answer_warns_of_whom_it_will_clash_with(pipeline: Pipeline) -> None:
    p = pipeline.project()
    decide(pipeline, [
        declared(p, "x", 1, by="bob"), declared(p, "x", 2, by="cy"),
        declared(p, "h", 1, by="bob", claims=["src/api/**"]),
        intent(p, by="dan", writes=doc("y"), reads=doc("x")), intent(p, by="eve", claims={"resources": ["db"]}),
        intent(p, by="ann", writes=doc("x")),
    ])  # fmt: skip
    answer = decide_one(pipeline, intent(
        p, by="ann", writes=doc("x", base_version=0), reads=doc("y"),
        claims={"paths": ["src/*/a.py"], "resources": ["db"]}
    ))  # fmt: skip
    assert answer.verdict == "approved"
    assert from_rfc3339(answer.result["intent"]["expires_at"]) > pipeline.clock.now
    assert warnings(answer) == [
        ("blocked_proposal", "doc/x", "cy"),
        ("moved", "doc/x", "bob"),
        ("path", "src/*/a.py", "bob"),
        ("read_write", "doc/y", "dan"),
        ("resource", "db", "eve"),
        ("write_read", "doc/x", "dan"),
    ]
    quiet = decide_one(pipeline, intent(p, by="ann", writes=doc("x", base_version=1), claims=["docs/**"]))
    assert warnings(quiet) == [("blocked_proposal", "doc/x", "cy"), ("write_read", "doc/x", "dan")]


def test_an_announced_content_that_is_there_already(pipeline: Pipeline) -> None:
    p = pipeline.project()
    made = decide_one(pipeline, declared(p, "x", WORK)).result["artifact"]
    answer = decide_one(pipeline, intent(p, by="bob", writes=doc("y", content_hash=made["content_hash"])))
    assert warnings(answer) == [("same_content", "doc/y", "")]
    announced = decide_one(pipeline, intent(p, by="bob", writes=doc("z", content_hash="sha256:00")))
    assert announced.result["warnings"] == []


def test_an_intent_is_withdrawn_by_whom_it_is_and_once(pipeline: Pipeline) -> None:
    p, q = pipeline.project(name="p"), pipeline.project(name="q")
    name = decide_one(pipeline, intent(p, writes=doc("x"))).result["intent"]["id"]
    outcomes = decide(pipeline, [
        asked(p, "intent.withdraw", by="bob", intent=name), asked(q, "intent.withdraw", intent=name),
        asked(p, "intent.withdraw", intent="int_0"), asked(p, "intent.withdraw", intent=name),
        asked(p, "intent.withdraw", intent=name),
    ])  # fmt: skip
    assert [o.error.get("code") for o in outcomes] == ["forbidden", "not_found", "not_found", None, "not_open"]
    assert decide_one(pipeline, declared(p, "x", by="bob")).seen == ("approved", [])
    other = decide_one(pipeline, intent(p, writes=doc("y"))).result["intent"]["id"]
    over = asked(p, "intent.withdraw", by="bob", intent=other, authority=["conflicts:override"])
    assert decide_one(pipeline, over).verdict == "approved"


def test_what_binds_nobody_or_for_too_long_is_no_intent(pipeline: Pipeline) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"expires_in_s": 0}, "expires_in_s"), ({"expires_in_s": 86_401}, "expires_in_s"),
        ({"purpose": " "}, "purpose"), ({"writes": []}, "at least one"),
        ({"writes": [{"type": "doc"}]}, "writes[0]"), ({"claims": ["../x"]}, "claims"),
    ]  # fmt: skip
    p = pipeline.project()
    for more, message in wrong:
        given = {"purpose": "p", "expires_in_s": 60, "writes": doc("x"), **more}
        refused = decide_one(pipeline, asked(p, "intent.announce", **given))
        assert refused.state == "failed"
        assert message in refused.error["message"]


def test_a_closed_project_takes_no_announcements(pipeline: Pipeline) -> None:
    p = pipeline.project()
    pipeline.executor.run_now(asked(p, "project.save", id=p, state="archived"))
    assert decide_one(pipeline, intent(p, writes=doc("x"))).error["code"] == "project_closed"
