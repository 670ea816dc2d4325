"""Versions of an artifact under concurrent writers: every history is one that could have happened one by one."""

from __future__ import annotations

import itertools
import json
import random
import threading
from collections.abc import Callable
from typing import Any

from tests.contract.pipeline import Pipeline, together
from tests.contract.test_psmp_modes import declared
from tests.linearizability import BLOCKED, NEVER, Call, linearizable


class Recorder:
    """What all agents did, on one clock."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._ticks = itertools.count()
        self._guard = threading.Lock()

    def tick(self) -> int:
        """Return the time; no two are the same."""
        with self._guard:
            return next(self._ticks)

    def note(self, call: Call) -> None:
        """Write a call down."""
        with self._guard:
            self.calls.append(call)


class Agent:
    """Reads, and declares on what it has read, now and then on something older; some answers it never hears."""

    def __init__(self, pipeline: Pipeline, project: str, name: str, recorder: Recorder, seed: int) -> None:
        self.pipeline, self.project, self.name, self.recorder = pipeline, project, name, recorder
        self.intake, self.executor = pipeline.another_intake(), pipeline.another_executor(name)
        self.random = random.Random(seed)

    def work(self, wins: int) -> None:
        """Go on until ``wins`` declarations were admitted, after one that cannot be."""
        self.declare(99, f"{self.name} from nowhere")
        won = 0
        for turn in itertools.count():
            version = self.read()
            while won < wins and self.random.random() < 0.8:
                told = self.declare(max(0, version - (self.random.random() < 0.2)), f"{self.name}.{turn}.{version}")
                if not isinstance(told, int):
                    break
                version, won = told, won + 1
            if won == wins:
                return

    def read(self) -> int:
        began = self.recorder.tick()
        rows = self.pipeline.sql(
            "SELECT a.head, v.content FROM artifacts a JOIN artifact_versions v "
            "ON v.artifact = a.id AND v.version = a.head WHERE a.project = ?", self.project,
        )  # fmt: skip
        told = (rows[0][0], json.loads(rows[0][1])) if rows else (0, None)
        self.recorder.note(Call("read", None, told, began, self.recorder.tick()))
        return int(told[0])

    def declare(self, base: int, content: str) -> Any:
        asked = declared(self.project, "x", content, base, self.name)
        began = self.recorder.tick()
        request = self.intake.submit([asked]).ids[0]
        if self.random.random() < 0.1:
            self.recorder.note(Call("declare", (base, content), None, began, NEVER))
            return None
        while self.pipeline.row(request)["state"] not in ("succeeded", "failed", "dead"):
            self.executor.drain("psmp")
        row = self.pipeline.row(request)
        assert row["state"] == "succeeded", row
        told = json.loads(row["result"])["artifact"]["version"] if row["verdict"] == "approved" else BLOCKED
        self.recorder.note(Call("declare", (base, content), told, began, self.recorder.tick()))
        return told


def test_versions_are_linearizable_under_concurrent_writers(pipeline: Pipeline) -> None:
    project, recorder = pipeline.project("strict"), Recorder()
    agents = [Agent(pipeline, project, f"agent-{n}", recorder, n) for n in range(6)]
    jobs: list[Callable[[], None]] = [lambda agent=agent: agent.work(2) for agent in agents]  # type: ignore[misc]

    assert set(together(jobs)) == {None}
    pipeline.settle_all()

    history = recorder.calls
    assert linearizable(history), "\n".join(map(str, sorted(history, key=lambda call: call.began)))
    approved = sorted((call for call in history if isinstance(call.told, int)), key=lambda call: call.told)
    assert len(approved) >= 2 * len(agents)
    assert len([call for call in history if call.told == BLOCKED]) >= 3
    # The same history with a lost update, or with a read of an old version, is none that could have happened.
    first, last = approved[0], approved[-1]
    twice = [call._replace(told=first.told) if call is last else call for call in history]
    old = Call("read", None, (first.told, first.given[1]), recorder.tick(), recorder.tick())
    assert not linearizable(twice)
    assert not linearizable([*history, old])
