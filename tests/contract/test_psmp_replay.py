"""Strict is deterministic: the same requests in the same order give the same verdicts on a new database, ids apart."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from metaqore.messages import Submission
from metaqore.store import migrate
from metaqore.store.engine import Database
from tests.contract.pipeline import ORGANIZATION, Pipeline

_ID = re.compile(r"\b(?:req|art|prop|conf|prj|int|apr|evt)_[0-9a-f]{12,40}")
NAMES = "abcdef"
WORDS = ("alpha", "beta", "gamma", "delta")

#: A request with names for ids: (kind, principal, payload); ``{name}`` stands for the id of an artifact.
Step = tuple[str, str, dict[str, Any]]


def session(seed: int, length: int) -> list[Step]:
    """Return what agents might ask for, with conflicts of many classes among it."""
    rng = random.Random(seed)
    steps: list[Step] = []
    for number in range(length):
        name, by = rng.choice(NAMES), rng.choice(["ann", "bob", "eve"])
        roll = rng.random()
        if roll < 0.08:
            to = rng.choice(["active", "deprecated", "quarantined", "nowhere"])
            steps.append(("artifact.transition", by, {"artifact": f"{{{name}}}", "to": to}))
        elif roll < 0.11:
            how = rng.choice([{}, {"cascade": True}, {"deprecate": True}])
            steps.append(("artifact.delete", by, {"artifact": f"{{{name}}}", **how}))
        elif roll < 0.14:
            steps.append(("artifact.alias", by, {"artifact": f"{{{name}}}", "alias": "released", "version": 1}))
        else:
            steps.append(("artifact.declare", by, _declaration(rng, name, number)))
    return steps


def _declaration(rng: random.Random, name: str, number: int) -> dict[str, Any]:
    text = "\n".join(rng.choice(WORDS) if rng.random() < 0.2 else f"line {i}" for i in range(12))
    base = rng.choice([None, 1, 2, 3])
    payload: dict[str, Any] = {"type": "doc", "name": name, "content": text, "base_version": base}
    others = [other for other in NAMES if other != name or rng.random() < 0.1]
    payload["depends_on"] = [
        {"type": "doc", "name": other, "version": rng.choice([None, None, 1, ">=2"])}
        for other in rng.sample(others, rng.choice([0, 0, 1, 2]))
    ]  # fmt: skip
    if rng.random() < 0.2:
        payload["claims"] = [rng.choice(["src/*", "src/a.py", "docs/**"])]
    if rng.random() < 0.2:
        payload["requires"] = [{"name": "requests", "specifier": rng.choice([">=2", "<2", "==2.1"])}]
    if rng.random() < 0.2:
        payload["label"] = rng.choice(["PUBLIC", "INTERNAL", "SENSITIVE"])
    if rng.random() < 0.2:
        payload["read_set"] = [{"type": "doc", "name": rng.choice(others), "version": 1}]
    return payload


def played(pipeline: Pipeline, mode: str, steps: list[Step], chop: Callable[[], int]) -> list[Any]:
    """Ask for all steps, ``chop()`` at a time; return what was decided, with names for ids in order of appearance."""
    project = pipeline.project(mode)
    ids: list[str] = []
    waiting = list(steps)
    while waiting:
        part, waiting = waiting[: (size := chop())], waiting[size:]
        known = dict(pipeline.sql("SELECT name, id FROM artifacts WHERE project = ?", project))
        asked = [
            Submission(organization=ORGANIZATION, project=project, principal=by, kind=kind, payload={
                name: known.get(value[1:-1], "art_0") if name == "artifact" else value
                for name, value in payload.items()})
            for kind, by, payload in part
        ]  # fmt: skip
        ids += pipeline.intake.submit(asked).ids
        pipeline.executor.drain("psmp")
    names: dict[str, str] = {}
    seen = []
    for request in ids:
        row = pipeline.row(request)
        text = _ID.sub(lambda match: names.setdefault(match[0], f"#{len(names)}"), row["result"] or row["error"])
        seen.append((row["state"], row["verdict"], json.loads(text)))
    return seen


@pytest.fixture
def another(tmp_path: Path) -> Iterator[Pipeline]:
    """A second pipeline, over a new SQLite database."""
    database = Database(f"sqlite:///{tmp_path / 'another.db'}")
    migrate.upgrade(database.dsn)
    yield Pipeline(database)
    database.close()


@pytest.mark.parametrize("seed", range(2))
def test_the_same_requests_in_the_same_order_give_the_same_verdicts(
    pipeline: Pipeline, another: Pipeline, seed: int
) -> None:
    steps = session(seed, 60)
    first = played(pipeline, "strict", steps, lambda: 1)

    assert played(another, "strict", steps, lambda: 1) == first
    assert {verdict for _, verdict, _ in first} >= {"approved", "blocked"}


@pytest.mark.parametrize("mode", ["strict", "adaptive", "playground"])
def test_how_declarations_are_drained_together_changes_no_verdict(
    pipeline: Pipeline, another: Pipeline, mode: str
) -> None:
    steps = [step for step in session(7, 70) if step[0] == "artifact.declare"]
    rng = random.Random(1)
    one_by_one = played(pipeline, mode, steps, lambda: 1)
    in_runs = played(another, mode, steps, lambda: rng.randrange(1, 30))

    assert [verdict for _, verdict, _ in in_runs] == [verdict for _, verdict, _ in one_by_one]
    assert in_runs == one_by_one
