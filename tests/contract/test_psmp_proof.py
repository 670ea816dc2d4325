"""What the bench measures is what it says: projects that are filled in bulk are like those that the engine has made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from metaqore.store.views.psmp_time import TimeViews
from tests.bench.psmp_proof import SMALL, Grown, name_of, verdicts
from tests.contract.pipeline import ORGANIZATION


@pytest.fixture
def grown(tmp_path: Path) -> Any:
    made = Grown(tmp_path, SMALL + 600)
    yield made
    made.close()


def test_rows_made_in_bulk_are_like_those_of_the_engine(grown: Grown) -> None:
    assert grown.once() > 0
    bulk, engine = (
        grown.pipeline.sql(
            "SELECT a.*, v.* FROM artifacts a JOIN artifact_versions v ON v.artifact = a.id WHERE a.name = ?", name
        )[0]
        for name in (name_of(SMALL + 599), name_of(grown.artifacts + SMALL))
    )

    assert [type(value) for value in bulk] == [type(value) for value in engine]
    same = [at for at, (one, other) in enumerate(zip(bulk, engine, strict=True)) if one == other]
    # Only ids, names, hashes, ranks, authors, times, positions and what is declared differ.
    assert len(same) >= len(bulk) - 18
    grown.pipeline.check_ranks()
    grown.pipeline.check_versions()
    assert grown.pipeline.sql("SELECT count(*) FROM artifact_edges e LEFT JOIN artifacts a ON a.id = e.depends_on "
                              "WHERE a.id IS NULL") == [(0,)]  # fmt: skip


def test_a_project_filled_in_bulk_has_a_history(grown: Grown) -> None:
    grown.once()
    position = grown.pipeline.sql("SELECT position FROM projects")[0][0]
    rows = grown.pipeline.sql("SELECT first, last, steps FROM project_history ORDER BY last")
    then = TimeViews(grown.database).at(position - 2)

    assert [first for first, _, _ in rows] == [1, *(last + 1 for _, last, _ in rows[:-1])]
    assert rows[-1][1] == position == SMALL + 602
    assert all(len(json.loads(steps)) == last - first + 1 for first, last, steps in rows)
    asked: dict[str, Any] = {"type": None, "name": name_of(SMALL + 598), "state": None, "after": None, "limit": 1}
    newest = then.artifacts(ORGANIZATION, grown.project, **asked)
    assert newest.items[0]["version"] == 1


def test_a_declaration_leaves_as_much_behind_whatever_its_number_is(grown: Grown) -> None:
    before = grown.recorded()
    grown.once()
    first = grown.recorded()
    grown.made = 1_234_567
    grown.once()
    second = grown.recorded()

    assert [after - at for at, after in zip(before, first, strict=True)] == [
        after - at for at, after in zip(first, second, strict=True)
    ]


def test_the_engine_alone_gives_verdicts() -> None:
    assert verdicts(runs=1)["psmp_verdicts_per_s"] > 0
