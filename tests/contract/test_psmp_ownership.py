"""Fields under management, as declarations change them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract.deciding import decide, decide_one, declared
from tests.contract.pipeline import Pipeline

BATCHED = [False, True]
ONE = {"port": 80, "host": "a", "tags": ["x"]}


def managers(pipeline: Pipeline) -> set[tuple[str, str]]:
    return {(row[0], row[1]) for row in pipeline.sql("SELECT pointer, manager FROM field_managers")}


@pytest.mark.parametrize("batched", BATCHED)
@pytest.mark.parametrize(
    ("mode", "verdict"), [("strict", "blocked"), ("adaptive", "blocked"), ("playground", "approved")]
)
def test_a_managed_field_is_not_overwritten_in_silence(
    pipeline: Pipeline, mode: str, verdict: str, batched: bool
) -> None:
    p = pipeline.project(mode)
    first, free, clash = decide(pipeline, [
        declared(p, "x", ONE, owns=["/port"]),
        declared(p, "x", {**ONE, "host": "b"}, base_version=1, by="bob"),
        declared(p, "x", {**ONE, "port": 81}, base_version=2, by="bob"),
    ], batched=batched)  # fmt: skip
    assert first.result["manages"] == ["/port"]
    assert free.seen == ("approved", [])
    assert clash.seen == (verdict, ["field_ownership"])
    evidence = clash.evidence
    assert (evidence["field"], evidence["manager"], evidence["pointer"]) == ("/port", "ann", "/content/port")
    assert evidence["value_hash"] != evidence["declared_hash"]
    # What was let through all the same is its author's from then on.
    assert managers(pipeline) == ({("/port", "bob")} if mode == "playground" else {("/port", "ann")})


@pytest.mark.parametrize("batched", BATCHED)
def test_force_takes_a_field_over_and_that_is_on_record(pipeline: Pipeline, batched: bool) -> None:
    p = pipeline.project()
    _, taken, back = decide(pipeline, [
        declared(p, "x", ONE, owns=["/port", "/host"]),
        declared(p, "x", {**ONE, "port": 81}, base_version=1, by="bob", owns=["/port"], force=["/port"]),
        declared(p, "x", ONE, base_version=2, by="ann"),
    ], batched=batched)  # fmt: skip
    assert taken.seen == ("approved", [])
    (lost,) = taken.result["provenance"]["took_over"]
    assert (lost["field"], lost["from"]) == ("/port", "ann")
    body = json.loads(pipeline.sql("SELECT body FROM artifact_versions WHERE version = 2")[0][0])
    assert body["provenance"]["took_over"] == [lost]
    assert pipeline.sql("SELECT count(*) FROM audit_entries WHERE tag = 'psmp:field:taken_over'") == [(1,)]
    assert back.seen == ("blocked", ["field_ownership"])
    assert managers(pipeline) == {("/port", "bob"), ("/host", "ann")}


@pytest.mark.parametrize("batched", BATCHED)
def test_the_same_value_is_managed_together_and_dropping_gives_up(pipeline: Pipeline, batched: bool) -> None:
    p = pipeline.project()
    changed = {**ONE, "port": 81}
    *_, together, alone = decide(pipeline, [
        declared(p, "x", ONE, owns=["/port"]), declared(p, "x", ONE, base_version=1, by="bob", owns=["/port"]),
        declared(p, "x", changed, base_version=2, by="ann"), declared(p, "x", ONE, base_version=2, by="bob", owns=[]),
    ], batched=batched)  # fmt: skip
    assert together.evidence["manager"] == "bob"
    assert alone.seen == ("approved", [])
    assert managers(pipeline) == {("/port", "ann")}
    assert decide_one(pipeline, declared(p, "x", changed, base_version=3, by="ann")).verdict == "approved"


def test_the_last_field_that_is_given_up_leaves_nothing_behind(pipeline: Pipeline) -> None:
    p = pipeline.project()
    decide(pipeline, [declared(p, "x", ONE, owns=["/port"]), declared(p, "x", ONE, base_version=1, owns=[])])
    assert managers(pipeline) == set()
    assert pipeline.sql("SELECT holds FROM artifacts") == [(0,)]


@pytest.mark.parametrize("batched", BATCHED)
def test_a_stale_author_is_merged_without_touching_what_others_manage(pipeline: Pipeline, batched: bool) -> None:
    """Bob started before Ann changed her field: what he did not change is no change of his."""
    p = pipeline.project("adaptive")
    *_, merged = decide(pipeline, [
        declared(p, "x", ONE, owns=["/port"]), declared(p, "x", {**ONE, "port": 81}, base_version=1),
        declared(p, "x", {**ONE, "host": "b"}, base_version=1, by="bob"),
    ], batched=batched)  # fmt: skip
    assert merged.seen == ("approved", ["parallel_creation"])
    content = json.loads(pipeline.sql("SELECT content FROM artifact_versions ORDER BY version DESC")[0][0])
    assert content == {**ONE, "port": 81, "host": "b"}
    assert managers(pipeline) == {("/port", "ann")}


def test_files_are_managed_by_their_paths(pipeline: Pipeline) -> None:
    p = pipeline.project()
    files: dict[str, Any] = {"files": {"src/a.py": "1\n", "src/b.py": "2\n"}}
    decide_one(pipeline, declared(p, "x", files, owns=["/files/src/a.py"]))
    assert managers(pipeline) == {("/files/src~1a.py", "ann")}
    one = {"files": {**files["files"], "src/b.py": "3\n"}}
    assert decide_one(pipeline, declared(p, "x", one, base_version=1, by="bob")).verdict == "approved"
    both = {"files": {"src/b.py": "3\n"}}
    assert decide_one(pipeline, declared(p, "x", both, base_version=2, by="bob")).evidence["declared_hash"] is None


def test_only_a_field_that_is_there_can_be_owned(pipeline: Pipeline) -> None:
    refused = decide_one(pipeline, declared(pipeline.project(), "x", ONE, owns=["/nowhere"]))
    assert refused.state == "failed"
    assert "/nowhere" in refused.error["message"]


def test_without_managers_nothing_is_looked_up(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    from metaqore.store.repositories.psmp_holdings import HoldingRows

    def never(*_: Any) -> Any:
        raise AssertionError("looked up")

    for name in ("fields", "claims", "specifiers", "intents"):
        monkeypatch.setattr(HoldingRows, name, never)
    p = pipeline.project()
    verdicts = decide(pipeline, [declared(p, "x", ONE), declared(p, "x", {**ONE, "port": 1}, base_version=1, by="bob")])
    assert [v.seen for v in verdicts] == [("approved", [])] * 2
