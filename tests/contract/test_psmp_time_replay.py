"""What would be decided, now and in the past, by this or another policy; and nothing of it is written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metaqore.errors import Contention, InvalidInput, NotFound, RateLimited, Unavailable
from metaqore.kinds import candidate_policy, history_kinds, psmp_policy
from metaqore.psmp.policy import Policy
from metaqore.psmp.preview import Preview
from metaqore.psmp.replay import Replayed, Replays
from metaqore.settings import Settings, load
from metaqore.store.scratch import Scratch
from metaqore.store.tables import metadata
from metaqore.store.views.psmp_time import TimeViews
from tests.contract.pipeline import ORGANIZATION, Pipeline
from tests.contract.test_psmp_modes import declared
from tests.contract.test_psmp_time import History, decide, position, request, restored, steps


@pytest.fixture(scope="module")
def engine_settings() -> Settings:
    return load({"storage_dsn": "sqlite:///unused.db", "redis_url": "redis://127.0.0.1:1/0"}, environ={})


@pytest.fixture(scope="module")
def policy(engine_settings: Settings) -> Policy:
    return psmp_policy(engine_settings)


@pytest.fixture
def preview(pipeline: Pipeline, policy: Policy) -> Preview:
    @contextlib.contextmanager
    def snapshot() -> Iterator[Any]:
        with pipeline.store.snapshot() as tx:
            yield tx.reads("psmp")

    return Preview(snapshot, policy, pipeline.clock)


@pytest.fixture(scope="module")
def replays(engine_settings: Settings, policy: Policy) -> Replays:
    return Replays(Scratch, lambda chosen: history_kinds(engine_settings, chosen).__getitem__, policy)


@pytest.fixture(scope="module")
def document(engine_settings: Settings) -> str:
    """The text of the policy in force."""
    return (engine_settings.config_path / "policies" / "psmp.yaml").read_text("utf-8")


def replay(pipeline: Pipeline, replays: Replays, project: str, start: int = 0, **more: Any) -> Replayed:
    recorded = TimeViews(pipeline.database).recorded(project, position(pipeline, project), 10_000)
    assert [each.position for each in recorded] == list(range(1, len(recorded) + 1))
    return replays.of(recorded, start, **more)


def everything(pipeline: Pipeline) -> dict[str, list[Any]]:
    """Return every row of every table."""
    return {
        table.name: sorted(map(repr, pipeline.sql(f"SELECT * FROM {table.name}"))) for table in metadata.sorted_tables
    }


def payloads(*asked: Any) -> list[dict[str, Any]]:
    return [dict(each.payload) for each in asked]


# --- preview ---------------------------------------------------------------------------------------------------------


def test_a_preview_says_what_would_be_decided_and_writes_nothing(pipeline: Pipeline, preview: Preview) -> None:
    p = pipeline.project("strict")
    decide(pipeline, declared(p, "x", 1))
    asked = [declared(p, "x", 2), declared(p, "y", 1, depends_on=["x"]), declared(p, "z", 1, depends_on=["y", "gone"]),
             declared(p, "x", 3, 1), declared(p, "x", 4, 2)]  # fmt: skip
    before = everything(pipeline)

    found = preview.of(ORGANIZATION, p, "ann", payloads(*asked))

    assert everything(pipeline) == before
    assert [item["verdict"] for item in found.items] == ["blocked", "approved", "blocked", "approved", "approved"]
    assert (found.position, found.mode) == (2, "strict")
    assert found.items[1]["result"]["artifact"]["id"] is None
    classes = [c["class"] for c in found.items[2]["result"]["blocking_report"]["conflicts"]]
    assert classes == ["missing_dependency"]
    verdicts = [verdict for verdict, _ in decide(pipeline, *asked)]
    assert verdicts == [item["verdict"] for item in found.items]


def test_a_preview_can_be_of_another_mode_or_policy(
    pipeline: Pipeline, preview: Preview, engine_settings: Settings, document: str
) -> None:
    p = pipeline.project("strict")
    asked = payloads(declared(p, "x", 1, depends_on=["gone"]))
    lenient = document.replace(
        "missing_dependency: {severity: high,", "missing_dependency: {mode: playground, severity: low,"
    )

    verdicts = [
        preview.of(ORGANIZATION, p, "ann", asked, mode="playground"),
        preview.of(ORGANIZATION, p, "ann", asked, policy=candidate_policy(engine_settings, lenient)),
        preview.of(ORGANIZATION, p, "ann", asked),
    ]

    assert [found.items[0]["verdict"] for found in verdicts] == ["approved", "approved", "blocked"]
    assert verdicts[1].policy_digest != verdicts[2].policy_digest


def test_a_declaration_that_cannot_be_read_does_not_stop_the_others(pipeline: Pipeline, preview: Preview) -> None:
    p = pipeline.project("strict")

    found = preview.of(
        ORGANIZATION, p, "ann", [{"type": "No", "name": "x", "content": 1}, *payloads(declared(p, "x", 1))]
    )

    assert [(item["verdict"], item["error"] and item["error"]["code"]) for item in found.items] == [
        (None, "invalid_input"), ("approved", None)
    ]  # fmt: skip
    with pytest.raises(NotFound):
        preview.of("elsewhere", p, "ann", payloads(declared(p, "x", 1)))


def test_a_snapshot_cannot_write_and_sees_nothing_new(pipeline: Pipeline) -> None:
    p = pipeline.project("strict")
    with pipeline.store.snapshot() as tx:
        assert tx.reads("psmp").projects([p])[p].mode == "strict"
        pipeline.executor.run_now(request("project.save", p, id=p, mode="playground"))
        assert tx.reads("psmp").projects([p])[p].mode == "strict"
    with pytest.raises(Exception) as refused, pipeline.store.snapshot() as tx:
        tx.connection.exec_driver_sql("UPDATE projects SET mode = 'adaptive'")
    assert "read" in str(refused.value)
    assert not isinstance(refused.value, Contention)
    pipeline.executor.run_now(request("project.save", p, id=p, mode="adaptive"))
    assert isinstance(refused.value, Unavailable) or not pipeline.database.is_sqlite


# --- replay ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def lived(pipeline: Pipeline) -> str:
    """A project with conflicts, resolutions, moves, tasks, a mode change and a restore."""
    p = pipeline.project("strict")
    run = pipeline.executor.run_now
    decide(pipeline, declared(p, "x", {"a": 1, "b": 1}), declared(p, "x", {"a": 2, "b": 1}, 1))
    decide(pipeline, declared(p, "x", {"a": 1, "b": 3}, 1, "bob"), declared(p, "y", 1, depends_on=["x", "gone"]))
    for conflict, strategy in pipeline.sql("SELECT id, class FROM conflicts WHERE project = ? ORDER BY id", p):
        how = "retry" if strategy == "parallel_creation" else "override"
        decide(pipeline, request("conflict.resolve", p, conflict=conflict, strategy=how, reason="so",
                                 authority=["conflicts:override"]))  # fmt: skip
    artifact = pipeline.sql("SELECT id FROM artifacts WHERE name = 'x' AND project = ?", p)[0][0]
    decide(pipeline, request("artifact.transition", p, artifact=artifact, to="active"))
    task = run(request("task.save", p, title="t")).result["id"]
    run(request("task.save", p, id=task, state="in_progress"))
    decide(pipeline, declared(p, "z", 1, depends_on=[{"artifact": artifact}]))
    run(request("project.save", p, id=p, mode="playground"))
    decide(pipeline, declared(p, "w", 1, depends_on=["nowhere"]))
    restored(pipeline, p, 5)
    return p


def test_the_unchanged_policy_reproduces_every_verdict(pipeline: Pipeline, replays: Replays, lived: str) -> None:
    now = position(pipeline, lived)
    before = everything(pipeline)

    for start in (0, 4, now - 1, now):
        found = replay(pipeline, replays, lived, start)
        assert (found.decided, found.same, found.not_reproduced, found.changed) == (now - start, now - start, 0, [])

    assert everything(pipeline) == before


def test_a_replay_says_what_changes_and_what_falls_with_it(
    pipeline: Pipeline, replays: Replays, engine_settings: Settings, document: str
) -> None:
    p = pipeline.project("playground")
    decide(
        pipeline, declared(p, "a", 1, depends_on=["gone"]), declared(p, "b", 1),
        declared(p, "c", 1, depends_on=["a"]), declared(p, "b", 2, 1), declared(p, "d", 1, depends_on=["c"]),
    )  # fmt: skip
    stricter = document.replace(
        "missing_dependency: {severity: high,", "missing_dependency: {mode: strict, severity: high,"
    )
    assert stricter != document

    found = replay(pipeline, replays, p, policy=candidate_policy(engine_settings, stricter))

    assert [(c.what, c.was, c.would_be, c.because) for c in found.changed] == [
        ("doc/a", "approved", "blocked", "policy")
    ]
    assert (found.counts, found.decided, found.not_reproduced) == ({"approved → blocked": 1}, 6, 0)
    assert found.changed[0].conflicts[0]["class"] == "missing_dependency"

    strict = replay(pipeline, replays, p, mode="strict")
    by_name = {c.what: c for c in strict.changed}
    assert {name: (c.would_be, c.because) for name, c in by_name.items()} == {
        "doc/a": ("blocked", "policy"),
        "doc/c": ("blocked", "consequence"),
        "doc/d": ("blocked", "consequence"),
    }
    assert by_name["doc/c"].after == [by_name["doc/a"].request]
    assert by_name["doc/d"].after == [by_name["doc/c"].request]


def test_what_was_built_on_a_blocked_artifact_falls_too(
    pipeline: Pipeline, replays: Replays, engine_settings: Settings, document: str
) -> None:
    p = pipeline.project("strict")
    long = {"text": "the very same content, long enough to be nobody's accident"}
    decide(pipeline, declared(p, "base", 1), declared(p, "base", 2, 1, "bob"))
    decided = decide(
        pipeline, declared(p, "copy", long), declared(p, "again", long), declared(p, "top", 1, depends_on=["again"])
    )
    lenient = document.replace("duplicate_work: {severity: low,", "duplicate_work: {mode: playground, severity: low,")

    found = replay(pipeline, replays, p, policy=candidate_policy(engine_settings, lenient))

    assert [verdict for verdict, _ in decided] == ["approved", "blocked", "blocked"]
    assert [(c.what, c.was, c.would_be, c.because) for c in found.changed] == [
        ("doc/again", "blocked", "approved", "policy"), ("doc/top", "blocked", "approved", "consequence")
    ]  # fmt: skip
    assert found.changed[1].after == [found.changed[0].request]
    assert found.changed[0].conflicts[0]["class"] == "duplicate_work"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("version: 1\nrules: {}\n", "policy:"),
        ("a: &a [*a]", "aliases"),
        ("[" * 5000, "32 deep"),
        ("a: [", "YAML"),
    ],
)
def test_a_candidate_that_cannot_be_used_is_refused_with_its_place(
    engine_settings: Settings, text: str, says: str
) -> None:
    with pytest.raises(InvalidInput, match=says) as refused:
        candidate_policy(engine_settings, text)

    assert refused.value.details["errors"][0]["pointer"] == "/policy"


def test_a_history_that_is_too_long_is_refused(
    pipeline: Pipeline, replays: Replays, lived: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metaqore.psmp.replay.MAX_DECISIONS", 3)

    with pytest.raises(InvalidInput, match="at most 3 decisions"):
        replay(pipeline, replays, lived)


def test_what_was_erased_is_not_decided_again(pipeline: Pipeline, replays: Replays, lived: str) -> None:
    recorded = TimeViews(pipeline.database).recorded(lived, position(pipeline, lived), 100)
    late = next(each for each in recorded if each.payload.get("name") == "w")
    pipeline.change("UPDATE requests SET payload = '{\"erased\":true}' WHERE id = ?", late.id)

    found = replay(pipeline, replays, lived, mode=None)

    assert (found.not_reproduced, found.decided, found.changed) == (1, len(recorded) - 1, [])
    pipeline.change("UPDATE requests SET payload = '{}' WHERE id = ?", recorded[0].id)
    with pytest.raises(InvalidInput, match="erased"):
        replay(pipeline, replays, lived)


def test_replays_take_turns(engine_settings: Settings, policy: Policy, pipeline: Pipeline, lived: str) -> None:
    refused: list[str] = []

    def world() -> Scratch:
        with pytest.raises(RateLimited) as again:
            replay(pipeline, busy, lived)
        refused.append(again.value.message)
        return Scratch()

    busy = Replays(world, lambda chosen: history_kinds(engine_settings, chosen).__getitem__, policy)

    assert replay(pipeline, busy, lived).not_reproduced == 0
    assert len(refused) == 1
    assert replay(pipeline, busy, lived).not_reproduced == 0


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(taken=st.lists(steps, min_size=3, max_size=14), start=st.integers(0, 14), back=st.integers(0, 14))
def test_any_history_is_reproduced_by_the_unchanged_policy(
    pipeline: Pipeline, replays: Replays, taken: list[Any], start: int, back: int
) -> None:
    history = History(pipeline)
    for step in taken:
        history.step(step)
    if back:
        restored(pipeline, history.project, min(back, position(pipeline, history.project)))

    found = replay(pipeline, replays, history.project, start)

    assert (found.not_reproduced, found.changed) == (0, [])
    assert found.decided == found.same == max(position(pipeline, history.project) - start, 0)
