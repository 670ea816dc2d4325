"""Many agents at once: versions stay gapless and no update is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metaqore.errors import MetaQoreError, PreconditionFailed
from metaqore.messages import Submission
from metaqore.requests.intake import Intake
from metaqore.requests.model import Ran
from metaqore.store.engine import Database
from metaqore.store.unit_of_work import SqlStore
from tests.contract.pipeline import ORGANIZATION, Pipeline, together
from tests.contract.test_psmp_modes import declared


def heads(pipeline: Pipeline, name: str = "x") -> list[Any]:
    rows = pipeline.sql(
        "SELECT v.content, v.base_version, v.created_by FROM artifacts a JOIN artifact_versions v ON v.artifact = a.id "
        "WHERE a.name = ? ORDER BY v.version", name,
    )  # fmt: skip
    return [(json.loads(content), base, by) for content, base, by in rows]


@pytest.mark.parametrize("agents", [8, 64])
def test_of_many_who_create_one_artifact_at_once_one_wins_in_strict_mode(pipeline: Pipeline, agents: int) -> None:
    project = pipeline.project("strict")
    intakes = [pipeline.another_intake() for _ in range(4)]
    executors = [pipeline.another_executor(str(n)) for n in range(3)]

    def agent(n: int) -> None:
        intakes[n % 4].submit([declared(project, "x", n, None, f"agent-{n}")])
        executors[n % 3].drain("psmp")

    assert set(together([lambda n=n: agent(n) for n in range(agents)])) == {None}  # type: ignore[misc]
    pipeline.settle_all()
    verdicts = [row[0] for row in pipeline.sql("SELECT verdict FROM requests WHERE kind = 'artifact.declare'")]
    assert (verdicts.count("approved"), verdicts.count("blocked")) == (1, agents - 1)
    assert len(heads(pipeline)) == 1
    assert {row[0] for row in pipeline.sql("SELECT class FROM conflicts")} == {"parallel_creation"}


@pytest.mark.parametrize("agents", [8, 32])
def test_of_many_changes_made_at_once_none_is_lost_in_adaptive_mode(pipeline: Pipeline, agents: int) -> None:
    project = pipeline.project("adaptive")
    pipeline.intake.submit([declared(project, "x", {str(n): 0 for n in range(agents)})])
    pipeline.executor.drain("psmp")
    executors = [pipeline.another_executor(str(n)) for n in range(3)]

    def agent(n: int) -> None:
        mine = {str(m): int(m == n) for m in range(agents)}
        pipeline.intake.submit([declared(project, "x", mine, 1, f"agent-{n}")])
        executors[n % 3].drain("psmp")

    assert set(together([lambda n=n: agent(n) for n in range(agents)])) == {None}  # type: ignore[misc]
    pipeline.settle_all()
    versions = heads(pipeline)
    assert len(versions) == agents + 1
    assert versions[-1][0] == {str(n): 1 for n in range(agents)}
    assert sorted(by for _, _, by in versions[1:]) == sorted(f"agent-{n}" for n in range(agents))


def test_read_modify_write_by_many_agents_counts_every_increment(pipeline: Pipeline) -> None:
    """The loop that every agent writes: read the head, change it, declare on top, begin again where blocked."""
    project = pipeline.project("strict")
    pipeline.intake.submit([declared(project, "x", 0)])
    pipeline.executor.drain("psmp")

    def agent(n: int) -> None:
        executor = pipeline.another_executor(str(n))
        done = 0
        while done < 3:
            versions = heads(pipeline)
            asked = declared(project, "x", versions[-1][0] + 1, len(versions), f"agent-{n}")
            request = pipeline.intake.submit([asked]).ids[0]
            while pipeline.row(request)["state"] not in ("succeeded", "failed", "dead"):
                executor.drain("psmp")
                pipeline.clock.advance(0.01)
            done += pipeline.row(request)["verdict"] == "approved"

    assert set(together([lambda n=n: agent(n) for n in range(8)])) == {None}  # type: ignore[misc]
    assert [content for content, _, _ in heads(pipeline)] == list(range(25))
    assert [base for _, base, _ in heads(pipeline)] == [None, *range(1, 25)]


def test_audit_and_event_numbers_are_gapless_under_eight_writers(pipeline: Pipeline) -> None:
    databases = [Database(pipeline.database.dsn) for _ in range(4)]
    projects = {organization: f"p-{organization}" for organization in ("acme", "beta", "gamma")}

    def accept(n: int) -> None:
        intake = Intake(SqlStore(databases[n]), pipeline.catalogue, pipeline.bell, clock=pipeline.clock)
        for turn in range(20):
            asked = [
                Submission(organization=organization, project=project, principal=f"agent-{n}", kind="test.scripted",
                           payload={"times": turn % 7 == 0, "how": "raise"})
                for organization, project in projects.items()
            ]  # fmt: skip
            # Submissions of several organizations in one commit, in both orders.
            intake.submit(asked if n % 2 else asked[::-1])

    def decide(n: int) -> None:
        worker = Pipeline(databases[n], pipeline.clock, pipeline.limits)
        for _ in range(25):
            worker.executor.drain("psmp")
            pipeline.clock.advance(0.5)

    jobs = [lambda n=n: accept(n) for n in range(4)] + [lambda n=n: decide(n) for n in range(4)]  # type: ignore[misc]
    assert set(together(jobs)) == {None}
    for database in databases:
        database.close()
    pipeline.settle_all()
    pipeline.check_sequences()
    rows = pipeline.sql("SELECT organization, count(*) FROM events WHERE type = 'test.done' GROUP BY organization")
    assert sorted(rows) == [("acme", 80), ("beta", 80), ("gamma", 80)]


@pytest.mark.parametrize("kind", ["project", "task"])
def test_of_two_who_change_the_same_version_one_is_refused(pipeline: Pipeline, kind: str) -> None:
    """``If-Match`` is a promise: with the same expected version, one change at most goes through."""
    project = pipeline.project()
    thing = project
    if kind == "task":
        thing = pipeline.executor.run_now(pipeline.submission("task.save", project, title="t")).result["id"]
    field = "name" if kind == "project" else "title"
    databases = [Database(pipeline.database.dsn) for _ in range(8)]
    executors = [Pipeline(database, pipeline.clock).executor for database in databases]

    def change(n: int, version: int) -> Ran | MetaQoreError:
        asked = pipeline.submission(f"{kind}.save", project, id=thing, expected_version=version, **{field: f"by {n}"})
        return executors[n].run_now(asked)

    for version in range(1, 6):
        answers = together([lambda n=n, version=version: change(n, version) for n in range(8)])  # type: ignore[misc]
        won = [answer for answer in answers if isinstance(answer, Ran)]
        assert len(won) == 1, answers
        assert all(isinstance(answer, Ran | PreconditionFailed) for answer in answers), answers
        assert pipeline.sql(f"SELECT {field}, version FROM {kind}s") == [(won[0].result[field], version + 1)]
    for database in databases:
        database.close()


def test_changes_of_different_fields_made_at_once_are_both_kept(pipeline: Pipeline) -> None:
    project = pipeline.project()
    databases = [Database(pipeline.database.dsn) for _ in range(2)]
    executors = [Pipeline(database, pipeline.clock).executor for database in databases]
    for turn in range(10):
        fields = [{"description": f"d{turn}"}, {"owner": f"o{turn}"}]
        jobs = [
            lambda e=e, f=f: e.run_now(pipeline.submission("project.save", None, id=project, **f))  # type: ignore[misc]
            for e, f in zip(executors, fields, strict=True)
        ]
        assert all(isinstance(answer, Ran) for answer in together(jobs))
        assert pipeline.sql("SELECT description, owner FROM projects") == [(f"d{turn}", f"o{turn}")]
    for database in databases:
        database.close()


def test_an_artifact_is_of_its_organization_alone(pipeline: Pipeline) -> None:
    project = pipeline.project("strict")
    asked = declared(project, "x", 1)
    foreign = Submission(organization="evil", project=project, principal="eve", kind=asked.kind, payload=asked.payload)
    pipeline.intake.submit([foreign])
    pipeline.executor.drain("psmp")
    assert pipeline.sql("SELECT state FROM requests WHERE organization = 'evil'") == [("failed",)]
    assert pipeline.sql("SELECT count(*) FROM artifacts WHERE organization <> ?", ORGANIZATION) == [(0,)]
