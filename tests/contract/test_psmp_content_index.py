"""Contents are found by a short key and compared in full."""

from __future__ import annotations

from typing import Any

import pytest

from metaqore.store.connection import Connection
from tests.contract.pipeline import Pipeline


def _reads(tx: Any) -> Any:
    return tx.reads("psmp")


def _hash(digits: str) -> str:
    return "sha256:" + digits.ljust(64, "0")


@pytest.fixture
def project(pipeline: Pipeline) -> str:
    made = pipeline.project("playground")
    for number in range(4):
        pipeline.clock.advance(1)
        pipeline.declare(made, f"n{number}", f"text {number}")
        pipeline.settle_all()
    return made


def test_the_two_oldest_with_a_content_are_told(pipeline: Pipeline, project: str) -> None:
    pipeline.change("UPDATE artifacts SET content_hash = ? WHERE name <> 'n0'", _hash("ab"))
    by_age = [row[0] for row in pipeline.sql("SELECT id FROM artifacts WHERE name <> 'n0' ORDER BY name")]

    with pipeline.store.read() as tx:
        found = _reads(tx).same_content([(project, _hash("ab")), (project, _hash("cd"))])
        other = _reads(tx).another_with(project, _hash("ab"), by_age[:1], ["proposed"])

    assert found == {(project, _hash("ab")): (by_age[0], by_age[1])}
    assert other == by_age[1]


def test_what_only_begins_alike_is_not_the_same_content(pipeline: Pipeline, project: str) -> None:
    pipeline.change("UPDATE artifacts SET content_hash = ? WHERE name = 'n1'", _hash("0123456789abcdef"))
    nearly = _hash("0123456789abcdee")
    elsewhere = "prj_f" + project[5:]

    with pipeline.store.read() as tx:
        found = _reads(tx).same_content([(project, nearly), (elsewhere, _hash("0123456789abcdef"))])

    assert found == {}


def test_contents_are_looked_up_in_the_index(pipeline: Pipeline, project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not pipeline.database.is_sqlite:
        pytest.skip("PostgreSQL reads so small a table whole")
    asked: list[tuple[str, Any]] = []
    run = Connection.exec_driver_sql

    def watched(connection: Connection, sql: str, parameters: Any = ()) -> Any:
        asked.append((sql, parameters))
        return run(connection, sql, parameters)

    with pipeline.store.read() as tx:
        monkeypatch.setattr(Connection, "exec_driver_sql", watched)
        held = pipeline.sql("SELECT content_hash FROM artifacts WHERE name = 'n1'")[0][0]
        asked.clear()
        _reads(tx).same_content([(project, held)])
        _reads(tx).another_with(project, held, [], ["proposed"])

    monkeypatch.undo()
    plans = [str(pipeline.sql(f"EXPLAIN QUERY PLAN {sql}", *parameters)) for sql, parameters in asked]
    assert len(plans) == 3
    assert all("USING INDEX ix_artifacts_content (<expr>=? AND <expr>=?)" in plan for plan in plans), plans
