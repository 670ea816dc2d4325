"""PSMP's proofs as numbers: what is found of planted conflicts, verdicts a second, and whether size matters.

``python -m tests.bench.psmp_proof [--artifacts N]`` prints these alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import structlog

from metaqore.messages import Request, Submission
from metaqore.store import migrate
from metaqore.store.drivers import sqlite_module
from metaqore.store.engine import Database
from tests.contract.pipeline import ORGANIZATION, Pipeline
from tests.psmp_corpus import MAKERS, corpus, score, table
from tests.psmp_world import World, catalogue

SMALL = 1_000
ARTIFACTS = 1_000_000
_CHUNK = 20_000
_LETTERS = str.maketrans("0123456789", "ghijklmnop")


def measure(artifacts: int = ARTIFACTS) -> dict[str, float]:
    """Return every number; 0 artifacts leaves the flatness out."""
    numbers = found() | verdicts()
    return numbers | flatness(artifacts) if artifacts else numbers


def found(rounds: int = 8, seed: int = 20_261_122) -> dict[str, float]:
    """Return the worst precision and the worst recall of any class over a corpus of planted conflicts."""
    cases = corpus(seed, rounds)
    scores, mistakes = score(cases, seed=seed)
    print(f"{len(cases)} declarations and moves of {len(MAKERS)} kinds, seed {seed}\n{table(scores)}")
    print("\n".join(mistakes[:10]), flush=True)
    return {
        "psmp_precision_min": min(each.precision for each in scores.values()),
        "psmp_recall_min": min(each.recall for each in scores.values()),
    }


class _Known:
    """Look-ups that were made before, from memory; so that only the engine itself is timed."""

    def __init__(self, reads: Any) -> None:
        self._reads = reads
        self._told: dict[Any, Any] = {}

    def __getattr__(self, name: str) -> Any:
        def look_up(*asked: Any) -> Any:
            key = name, repr([sorted(each) if isinstance(each, set) else each for each in asked])
            if key not in self._told:
                answer = getattr(self._reads, name)(*asked)
                self._told[key] = answer if isinstance(answer, str | dict | list) or answer is None else list(answer)
            return self._told[key]

        return look_up


def verdicts(runs: int = 40) -> dict[str, float]:
    """Return verdicts a second of the engine alone, on one core: runs of 256, look-ups answered from memory.

    A third has a dependency, a tenth is blocked; parsing and hashing (``study``) are timed as well.
    """
    world = World("strict")
    kind = catalogue()["artifact.declare"]
    assert kind.decide is not None and kind.study is not None
    reads, took = _Known(world.scratch.reads()), []
    for run in range(runs + 1):
        batch = [_request(world, 10_000 + i, _payload(i)) for i in range(256)]
        began = time.perf_counter()
        for request in batch:
            request.studied = kind.study(request)
        outcomes = kind.decide(batch, reads, 1_000_000)
        if run:
            took.append(time.perf_counter() - began)
    blocked = sum(outcome.verdict == "blocked" for outcome in outcomes)
    world.close()
    print(f"engine alone: {blocked} of 256 blocked, {1e6 * statistics.median(took) / 256:.0f} µs each", flush=True)
    return {"psmp_verdicts_per_s": 256 / statistics.median(took)}


def _payload(i: int) -> dict[str, Any]:
    payload: dict[str, Any] = {"type": "doc", "name": f"n{i}", "content": {"text": "x" * 380}}
    if i % 3 == 1:
        payload["depends_on"] = [{"type": "doc", "name": f"n{i - 1}"}]
    return payload | ({"base_version": 7} if i % 10 == 9 else {})


def _request(world: World, seq: int, payload: dict[str, Any]) -> Request:
    return Request(
        seq=seq, id=f"req_{seq}", organization=ORGANIZATION, project=world.project, principal="ann",
        kind="artifact.declare", queue="psmp", ordering_key=world.project, payload=payload, attempt=0, fence=0,
        created_at=1_000_000,
    )  # fmt: skip


def name_of(number: int) -> str:
    """Return a name of its own for each number, of one length and without digits, spread as names of files are.

    Contents hold it, too: of a number that grows, the content rules took what has seven digits for a telephone
    number, so that the larger project was also the one with more to read, to raise and to record.
    """
    return f"{number * 2_654_435_761 % 2**32:08x}".translate(_LETTERS)


class Grown:
    """A database with one project of a number of artifacts, and both doors over it."""

    def __init__(self, folder: Path, artifacts: int) -> None:
        self.path = folder / f"{artifacts}.db"
        dsn = f"sqlite:///{self.path}"
        migrate.upgrade(dsn)
        self.database = Database(dsn)
        self.pipeline = Pipeline(self.database)
        self.project = self.pipeline.project("strict")
        self.random = random.Random(artifacts)
        self.made = 0
        for first in range(0, SMALL, 250):
            self._submit([self._declaration(first + i, first) for i in range(250)])
        began = time.perf_counter()
        self._grow(artifacts - SMALL)
        self.artifacts = self.pipeline.sql("SELECT count(*) FROM artifacts")[0][0]
        size = self.path.stat().st_size / 1e6
        print(f"  {self.artifacts} artifacts, {size:.0f} MB, {time.perf_counter() - began:.0f} s", flush=True)

    def _declaration(self, number: int, below: int) -> Submission:
        """Return a declaration with three dependencies, where there are three to have."""
        deps = self.random.sample(range(below), 3) if below >= 3 else []
        payload = {
            "type": "doc", "name": name_of(number), "content": {"text": "x" * 80, "word": name_of(number)},
            "depends_on": [{"type": "doc", "name": name_of(dep)} for dep in deps],
        }  # fmt: skip
        return Submission(
            organization=ORGANIZATION, project=self.project, principal=f"agent-{number % 7}", kind="artifact.declare",
            payload=payload,
        )  # fmt: skip

    def _submit(self, asked: Sequence[Submission]) -> None:
        ids = self.pipeline.intake.submit(asked).ids
        self.pipeline.executor.drain("psmp")
        assert self.pipeline.row(ids[-1])["verdict"] == "approved"
        self.made += len(asked)

    def once(self) -> float:
        """Return the seconds from the submission of a declaration with three dependencies to its committed verdict."""
        asked = self._declaration(self.artifacts + self.made, min(self.artifacts, ARTIFACTS))
        began = time.perf_counter()
        self._submit([asked])
        return time.perf_counter() - began

    def recorded(self) -> list[int]:
        """Return how many rows the declarations have left where each leaves as many, whatever the project's size."""
        tables = ("requests", "audit_entries", "events", "decisions", "conflicts", "record_history")
        return [int(self.pipeline.sql(f"SELECT count(*) FROM {name}")[0][0]) for name in tables]

    def _grow(self, more: int) -> None:
        """Add artifacts as the engine writes them: rows made after one that it has written.

        What grows with a project: artifacts, versions, edges, history. Requests, audit entries and events are the
        installation's, and are not looked at to decide; only their numbers go on from where they would stand.
        """
        if more <= 0:
            return
        connection = sqlite_module().connect(self.path, isolation_level=None)
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -500000")
        connection.execute("BEGIN IMMEDIATE")
        like = self._row(connection, "artifacts", "name = ?")
        version = self._row(connection, "artifact_versions", "artifact = (SELECT id FROM artifacts WHERE name = ?)")
        ids = [row[0] for row in connection.execute("SELECT id FROM artifacts ORDER BY rank")]
        for first in range(SMALL, SMALL + more, _CHUNK):
            rows = list(self._rows(range(first, min(first + _CHUNK, SMALL + more)), like, version, ids))
            self._insert(connection, rows)
        connection.execute("UPDATE requests SET seq = seq + ? WHERE seq = (SELECT max(seq) FROM requests)", (more,))
        connection.execute("UPDATE projects SET position = position + ? WHERE id = ?", (more, self.project))
        connection.execute("COMMIT")
        connection.close()

    def _row(self, connection: Any, table_name: str, where: str) -> dict[str, Any]:
        """Return a row of the last artifact that the engine has made."""
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table_name})")]
        found = connection.execute(f"SELECT * FROM {table_name} WHERE {where}", (name_of(SMALL - 1),)).fetchone()
        return dict(zip(names, found, strict=True))

    def _rows(
        self, numbers: range, like: dict[str, Any], version: dict[str, Any], ids: list[str]
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any], list[str]]]:
        stem = int(like["id"].removeprefix("art_"), 16)
        for number in numbers:
            deps = self.random.sample(range(number), 3)
            content = json.dumps({"text": "x" * 80, "word": name_of(number)}, separators=(",", ":"))
            digest = "sha256:" + hashlib.sha256(content.encode()).hexdigest()
            digest = digest if like["content_hash"].startswith("sha256:") else digest.removeprefix("sha256:")
            key, edges = f"art_{stem + number:032x}", sorted(ids[dep] for dep in deps)
            body = json.loads(version["body"])
            body["depends_on"] = [{**body["depends_on"][0], "name": name_of(dep)} for dep in deps]
            ids.append(key)
            rank = like["rank"] + number - SMALL + 1
            made = {"id": key, "name": name_of(number), "content_hash": digest, "rank": rank}
            yield (
                {**like, **made},
                {**version, "artifact": key, "content": content, "content_hash": digest, "body": json.dumps(body),
                 "position": version["position"] + number - SMALL + 1, "edges": json.dumps(edges)},
                edges,
            )  # fmt: skip

    def _insert(self, connection: Any, rows: Sequence[tuple[dict[str, Any], dict[str, Any], list[str]]]) -> None:
        for table_name, made in (
            ("artifacts", [row[0] for row in rows]),
            ("artifact_versions", [row[1] for row in rows]),
        ):
            names, marks = ", ".join(made[0]), ", ".join("?" * len(made[0]))
            values = [tuple(row.values()) for row in made]
            connection.executemany(f"INSERT INTO {table_name} ({names}) VALUES ({marks})", values)
        edges = [(row[0]["id"], below) for row in rows for below in row[2]]
        connection.executemany("INSERT INTO artifact_edges (artifact, depends_on) VALUES (?, ?)", edges)
        history = []
        for at in range(0, len(rows), 256):
            part = rows[at : at + 256]
            steps = [[row[1]["request_id"], row[0]["id"]] for row in part]
            ends = part[0][1]["position"], part[-1][1]["position"]
            history.append((self.project, ends[1], ends[0], part[-1][0]["created_at"], json.dumps(steps)))
        connection.executemany(
            'INSERT INTO project_history (project, last, first, "at", steps) VALUES (?, ?, ?, ?, ?)', history
        )

    def close(self) -> None:
        self.database.close()


def flatness(artifacts: int, rounds: int = 400) -> dict[str, float]:
    """Return p50 of a declare with three dependencies in a project of ``artifacts`` over one of 1,000, in turn.

    Each is in a database of its own, so that the larger has the deeper indexes; both doors, ``synchronous=FULL``.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory(prefix="mq-flat-") as place:
        small, large = Grown(Path(place), SMALL), Grown(Path(place), artifacts)
        took: dict[Grown, list[float]] = {small: [], large: []}
        for number in range(rounds + 20):
            for project in (small, large) if number % 2 else (large, small):
                seconds = project.once()
                if number >= 20:
                    took[project].append(seconds)
        assert small.recorded() == large.recorded(), "the two were not decided alike, so their times say nothing"
        small.close()
        large.close()
    p50 = [1000 * statistics.median(took[project]) for project in (small, large)]
    print(f"declare with 3 dependencies, p50: {p50[0]:.2f} ms of {SMALL}, {p50[1]:.2f} ms of {artifacts}", flush=True)
    name = "declare_flatness_1k_1m" if artifacts == 1_000_000 else f"declare_flatness_1k_{artifacts}"
    return {name: p50[1] / p50[0], "declare_1k_p50_ms": p50[0], "declare_large_p50_ms": p50[1]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifacts", type=int, default=ARTIFACTS, help="of the large project; 0 leaves it out")
    for name, value in sorted(measure(parser.parse_args().artifacts).items()):
        print(f"{name:34} {value:12.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
