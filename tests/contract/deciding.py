"""Declarations and intents, submitted and decided one by one or all in one batch, with what came of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from metaqore.messages import Submission
from tests.contract.pipeline import ORGANIZATION, Pipeline

#: Long and varied enough to be recognised as work that is done twice.
WORK = "Parse the configuration file, then check every field of it."


def declared(
    project: str, name: str, content: Any = "text", *, by: str = "ann", kind: str = "doc", **payload: Any
) -> Submission:
    """Return a declaration."""
    return Submission(
        organization=ORGANIZATION, project=project, principal=by, kind="artifact.declare",
        payload={"type": kind, "name": name, "content": content, **payload},
    )  # fmt: skip


def asked(project: str, kind: str, *, by: str = "ann", **payload: Any) -> Submission:
    """Return any other request of a project."""
    return Submission(organization=ORGANIZATION, project=project, principal=by, kind=kind, payload=payload)


class Decided:
    """What came of one request."""

    def __init__(self, row: Any) -> None:
        self.id: str = row["id"]
        self.state: str = row["state"]
        self.verdict: str | None = row["verdict"]
        self.error: dict[str, Any] = json.loads(row["error"]) if row["error"] else {}
        self.result: dict[str, Any] = json.loads(row["result"]) if row["result"] else {}

    @property
    def conflicts(self) -> list[dict[str, Any]]:
        """Its conflicts, blocked or let through."""
        found: list[dict[str, Any]] = self.result.get("blocking_report", self.result).get("conflicts", [])
        return found

    @property
    def classes(self) -> list[str]:
        """The classes of its conflicts."""
        return sorted(conflict["class"] for conflict in self.conflicts)

    @property
    def seen(self) -> tuple[str | None, list[str]]:
        """Verdict and classes."""
        return self.verdict, self.classes

    @property
    def evidence(self) -> dict[str, Any]:
        """The evidence of its only conflict."""
        (conflict,) = self.conflicts
        found: dict[str, Any] = conflict["evidence"]
        return found


def decide(pipeline: Pipeline, requests: Sequence[Submission], *, batched: bool = False) -> list[Decided]:
    """Submit and decide, in order."""
    ids: list[str] = []
    for group in [list(requests)] if batched else [[one] for one in requests]:
        ids += pipeline.intake.submit(group).ids
        pipeline.settle_all()
    return [Decided(pipeline.row(request)) for request in ids]


def decide_one(pipeline: Pipeline, request: Submission) -> Decided:
    """Submit and decide one."""
    return decide(pipeline, [request])[0]
