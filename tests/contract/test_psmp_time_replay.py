"""What would be decided, now and in the past, by this or another policy; and nothing of it is written."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaqore import ongoing
from metaqore.errors import Conflict, Contention, InvalidInput, NotFound, RateLimited, Unavailable
from metaqore.kinds import candidate_policy, history_kinds, psmp_policy
from metaqore.messages import Request, Submission
from metaqore.psmp.holdings import holding_states
from metaqore.psmp.policy import Policy
from metaqore.psmp.preview import Preview
from metaqore.psmp.replay import Changed, Progress, Recorded, Replayed, Replays
from metaqore.psmp.replaying import Replaying
from metaqore.requests import long_work
from metaqore.requests.catalogue import Catalogue
from metaqore.requests.executor import Executor
from metaqore.settings import Settings, load
from metaqore.store.engine import Database
from metaqore.store.past_world import PastWorld
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
def kinds_of(engine_settings: Settings) -> Any:
    return lambda chosen: history_kinds(engine_settings, chosen).__getitem__


@pytest.fixture
def replays(pipeline: Pipeline, kinds_of: Any, policy: Policy) -> Replays:
    return Replays(partial(PastWorld, pipeline.database, holding_states(policy)), kinds_of, policy)


@pytest.fixture(scope="module")
def document(engine_settings: Settings) -> str:
    """The text of the policy in force."""
    return (engine_settings.config_path / "policies" / "psmp.yaml").read_text("utf-8")


def replay(pipeline: Pipeline, replays: Replays, project: str, start: int = 0, **more: Any) -> Replayed:
    end = position(pipeline, project)
    recorded = [*TimeViews(pipeline.database).recorded(project, start, end)]
    assert [each.position for each in recorded] == list(range(start + 1, end + 1))
    return replays.of(ORGANIZATION, project, start, recorded, **more)


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
    report = found.items[0]["result"]["blocking_report"]
    assert (report["proposal"], report["links"]) == (None, {})
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
        pipeline,
        declared(p, "copy", long),
        declared(p, "again", long, None, "bob"),
        declared(p, "top", 1, depends_on=["again"]),
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


def test_what_was_erased_is_not_decided_again(pipeline: Pipeline, replays: Replays, lived: str) -> None:
    recorded = [*TimeViews(pipeline.database).recorded(lived, 0, position(pipeline, lived))]
    late = next(each for each in recorded if each.payload.get("name") == "w")
    pipeline.change("UPDATE requests SET payload = '{\"erased\":true}' WHERE id = ?", late.id)

    found = replay(pipeline, replays, lived, mode=None)

    assert (found.not_reproduced, found.decided, found.changed) == (1, len(recorded) - 1, [])
    pipeline.change("UPDATE requests SET payload = '{}' WHERE id = ?", recorded[0].id)
    with pytest.raises(InvalidInput, match="erased"):
        replay(pipeline, replays, lived)
    assert replay(pipeline, replays, lived, 1).not_reproduced == 1


def test_replays_take_turns(pipeline: Pipeline, replays: Replays, lived: str) -> None:
    views, end = TimeViews(pipeline.database), position(pipeline, lived)
    refused: list[str] = []

    def recorded() -> Iterator[Any]:
        for each in views.recorded(lived, 0, end):
            if not refused:
                with pytest.raises(RateLimited) as again:
                    replay(pipeline, replays, lived)
                refused.append(again.value.message)
            yield each

    assert replays.of(ORGANIZATION, lived, 0, recorded()).not_reproduced == 0
    assert len(refused) == 1
    assert replay(pipeline, replays, lived).not_reproduced == 0


def test_a_long_replay_is_a_request_that_keeps_its_checkpoint(
    pipeline: Pipeline, replays: Replays, lived: str, policy: Policy, engine_settings: Settings, document: str
) -> None:
    stricter = document.replace(
        "missing_dependency: {severity: high,", "missing_dependency: {mode: strict, severity: high,"
    )
    run = pipeline.executor.run_now
    mark = run(request("checkpoint.create", lived, name="mark", at="3")).result["id"]
    end = position(pipeline, lived)
    candidate = partial(candidate_policy, engine_settings)
    replaying = Replaying(replays, TimeViews(pipeline.database).recorded, candidate, policy)
    asked = {"start": 3, "end": end, "checkpoint": mark, "policy": stricter}
    good, bad, elsewhere = pipeline.intake.submit(
        [
            request("history.replay", lived, **asked),
            request("history.replay", lived, **{**asked, "checkpoint": None, "policy": "version: 1"}),
            request("history.replay", "prj_elsewhere", start=0, end=1),
        ]
    ).ids
    with pytest.raises(Conflict) as refused:
        run(request("checkpoint.delete", lived, checkpoint=mark))
    assert refused.value.details["used_by"] == [good]

    kind = msgspec.structs.replace(pipeline.catalogue["history.replay"], long=replaying, study=replaying.study)
    executor = Executor(pipeline.store, Catalogue([kind]), pipeline.results, pipeline.bell, clock=pipeline.clock)
    assert long_work.drain(executor, kind.queue) == 3

    expected = replay(pipeline, replays, lived, 3, policy=candidate(stricter))
    told = json.loads(pipeline.row(good)["result"])
    assert (expected.counts, told["policy_digest"]) == ({"approved → blocked": 1}, candidate(stricter).digest)
    assert told == {"project": lived, "from": 3, "to": end, "mode": None, "policy_digest": told["policy_digest"],
                    **msgspec.to_builtins(expected)}  # fmt: skip
    errors = [json.loads(pipeline.row(each)["error"])["code"] for each in (bad, elsewhere)]
    assert errors == ["invalid_input", "not_found"]
    assert run(request("checkpoint.delete", lived, checkpoint=mark)).result["deleted"] == [mark]


def test_a_long_replay_that_is_no_longer_wanted_stops_at_the_next_decision(
    pipeline: Pipeline, replays: Replays, lived: str, policy: Policy
) -> None:
    end, read = position(pipeline, lived), TimeViews(pipeline.database).recorded
    said: list[ongoing.Mark] = []
    going = ongoing.Ongoing()

    def recorded(project: str, start: int, end: int) -> Iterator[Recorded]:
        for number, each in enumerate(read(project, start, end)):
            if number == 2:
                said.extend(going.news().values())
                going.take_away([asked.id])
            assert number < 3, "it goes on though nobody wants it"
            yield each

    asked = Request(
        seq=1, id="req_1", organization=ORGANIZATION, project=lived, principal="p", kind="history.replay", queue="hmcp",
        ordering_key=None, payload={"start": 0, "end": end}, attempt=1, fence=1, created_at=0,
    )  # fmt: skip
    replaying = Replaying(replays, recorded, lambda text: policy, policy)
    asked.studied = replaying.study(asked)

    with ongoing.here(going), pytest.raises(ongoing.Stopped):
        replaying.perform([(asked, None)])

    assert said == [ongoing.Mark("positions", 1, end)]
    assert replay(pipeline, replays, lived, 3).not_reproduced == 0


def test_a_replay_says_how_far_it_is_and_can_be_left(
    pipeline: Pipeline, replays: Replays, lived: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metaqore.psmp.replay.REPORT_EVERY", 2)
    views, end = TimeViews(pipeline.database), position(pipeline, lived)

    told = [*replays.stream(ORGANIZATION, lived, 3, views.recorded(lived, 3, end))]
    assert isinstance(told[-1], Replayed)
    decided = [each.decided for each in told[:-1] if isinstance(each, Progress) and each.decided]
    assert decided == list(range(2, end - 3 + 1, 2))
    assert [each.rows > 0 for each in told[:-1] if isinstance(each, Progress)] == [True] * (len(told) - 1)

    left = replays.stream(ORGANIZATION, lived, 3, views.recorded(lived, 3, end))
    next(left)
    left.close()
    assert replay(pipeline, replays, lived, 3).not_reproduced == 0


def test_a_stream_tells_every_change_and_a_report_the_first_ones(
    pipeline: Pipeline, replays: Replays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metaqore.psmp.replay.MAX_SHOWN", 1)
    p = pipeline.project("strict")
    decide(pipeline, *(declared(p, name, 1, depends_on=["gone"]) for name in "abc"))
    recorded = TimeViews(pipeline.database).recorded(p, 1, 4)

    told = [*replays.stream(ORGANIZATION, p, 1, recorded, mode="playground")]

    last = told[-1]
    assert isinstance(last, Replayed)
    assert ([c.what for c in last.changed], last.counts) == (["doc/a"], {"blocked → approved": 3})
    assert [each.what for each in told if isinstance(each, Changed)] == ["doc/b", "doc/c"]


LONG = bool(os.environ.get("METAQORE_TEST_LONG"))
#: Table → the columns that a copy has as they were.
COPIED = {
    "artifacts": "id, state, head, content_hash, label, holds",
    "artifact_versions": "artifact, version, content, body, position",
    "artifact_edges": "artifact, depends_on",
    "artifact_requirements": "package, specifier, artifact, declared_by",
    "claims": "kind, pattern, holder, principal, title, seq, expires_at",
    "field_managers": "artifact, pointer, manager, value_hash, since",
    "conversations": "conversation, principal, turns",
    "conflicts": "id, state, resolution",
    "proposals": "id, state, position",
    "tasks": "id, state, version",
    "intents": "id, state, remaining, seq",
    "approvals": "id, state, answered_by",
    "record_history": "subject, position, state, was",
    "project_history": "last, first, steps, at",
    "projects": "id, mode, state, version, position, position_at",
}


def test_a_replay_begins_with_what_heads_held_and_intents_announced(
    pipeline: Pipeline, replays: Replays, policy: Policy
) -> None:
    """From each position on every verdict is reproduced, and the world there is as the real one was."""
    p = pipeline.project("strict")
    run = pipeline.executor.run_now
    wants = [{"name": "requests", "specifier": ">=2"}]

    def artifact(name: str) -> str:
        return str(pipeline.sql("SELECT id FROM artifacts WHERE name = ? AND project = ?", name, p)[0][0])

    talk = {"metadata": {"conversation": "c"}}

    def says(name: str, content: Any, base: int | None = None, by: str = "bob", **more: Any) -> Any:
        payload = {"type": "doc", "name": name, "content": content, "base_version": base, **more}
        return Submission(
            organization=ORGANIZATION, project=p, principal=by, kind="artifact.declare", payload=payload
        )  # fmt: skip

    decide(pipeline, says("x", {"a": 1, "b": 1}, by="ann", requires=wants, claims=["src/*.py"], owns=["/a"], **talk))
    writes = [{"type": "doc", "name": "u"}, {"artifact": artifact("x")}]
    decide(pipeline, request("intent.announce", p, purpose="p", expires_in_s=60, writes=writes, claims=["lib/**"]))
    decide(pipeline, says("u", {"u": 1}), says("v", 1, claims=["lib/a.py"]))
    less = [{"name": "requests", "specifier": "<2"}]
    decide(pipeline, says("w", 1, requires=less, **talk), says("o", 1, **talk))
    decide(pipeline, says("x", {"a": 2, "b": 1}, 1), says("q", 2, claims=["src/a.py"]))
    decide(pipeline, says("y", {"y": 1}, depends_on=[{"type": "doc", "name": "x"}]))
    decide(pipeline, says("x", {"a": 1, "b": 1}, 1, "ann", depends_on=[{"type": "doc", "name": "y"}]))
    blocked = pipeline.sql("SELECT id FROM conflicts WHERE project = ? AND class = 'field_ownership'", p)[0][0]
    decide(pipeline, request("conflict.resolve", p, conflict=blocked, strategy="escalate", reason="so"))
    run(request("task.save", p, title="t", **talk))
    decide(pipeline, request("artifact.transition", p, artifact=artifact("x"), to="deprecated"))
    decide(pipeline, says("w", 1, requires=less), says("x", {"a": 3, "b": 1}, 1))
    decide(pipeline, says("z", {"z": 1}, depends_on=[{"type": "doc", "name": n} for n in "xy"]))
    restored(pipeline, p, 3)
    end = position(pipeline, p)

    for start in range(0, end + 1, 1 if LONG else 4):
        found = replay(pipeline, replays, p, start)
        assert (found.not_reproduced, found.changed, found.decided) == (0, [], end - start), start
    copy = PastWorld(pipeline.database, holding_states(policy), ORGANIZATION, p, end)
    assert sum(1 for _ in copy.build()) > 0
    with closing(copy.world) as world:
        for table, columns in COPIED.items():
            wanted = sorted(map(repr, map(tuple, pipeline.sql(f"SELECT {columns} FROM {table}"))))
            assert sorted(map(repr, world.rows(f"SELECT {columns} FROM {table}"))) == wanted, table


def test_a_bound_on_depth_is_the_same_from_every_position(database: Database) -> None:
    """A copied world has other depths and another order of its artifacts than the one that grew."""
    bounded = load({"storage_dsn": "sqlite:///unused.db", "redis_url": "redis://127.0.0.1:1/0", "max_graph_depth": 3},
                   environ={})  # fmt: skip
    policy, pipeline = psmp_policy(bounded), Pipeline(database, max_graph_depth=3)
    replays = Replays(partial(PastWorld, database, holding_states(policy)),
                      lambda chosen: history_kinds(bounded, chosen).__getitem__, policy)  # fmt: skip
    p = pipeline.project("strict")
    chain = [declared(p, name, 1, depends_on=below) for name, below in (("r", []), ("q", ["r"]), ("p", ["q"]))]
    decide(pipeline, declared(p, "x", 1), declared(p, "z", 1, depends_on=["x"]), *chain)
    told = decide(
        pipeline,
        declared(p, "q", 2, 1),  # p is one deep now, and was two
        declared(p, "x", 2, 1, depends_on=["p"]),
        declared(p, "u", 1), declared(p, "t", 1, depends_on=["u"]),
        declared(p, "q", 3, 2, depends_on=["t"]),  # z would be five deep
        declared(p, "q", 3, 2, depends_on=["u"]),  # and four
        declared(p, "x", 3, 2),
        declared(p, "q", 3, 2, depends_on=["t"]), declared(p, "x", 4, 3, depends_on=["q"]),
    )  # fmt: skip

    verdicts = [verdict for verdict, _ in told]
    assert verdicts == ["approved", "approved", "approved", "approved", "blocked", "blocked", "approved", "approved",
                        "blocked"]  # fmt: skip
    for start in range(0, position(pipeline, p), 3):
        assert replay(pipeline, replays, p, start).not_reproduced == 0


@settings(max_examples=12)
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
