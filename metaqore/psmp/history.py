"""A project's history: every decision about a project is one position of it, gapless and in the order of the commits.

``recorded`` is put around the ``decide`` of each kind of PSMP. It marks the decision as a ``Step`` and hangs every
``Change`` of it on that step; the store numbers the steps of a commit with one statement for each project. So no
handler knows of positions, and a half decision can never be looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from msgspec.structs import force_setattr

from metaqore.messages import Outcome, Request
from metaqore.psmp.effects import (
    Change,
    NewVersion,
    SaveProject,
    SaveTask,
    SetAlias,
    SetArtifactState,
    SetEdges,
    Step,
)

Decide = Callable[[Sequence[Request], Any, int], list[Outcome]]


def recorded(decide: Decide) -> Decide:
    """Return ``decide`` with each of its decisions marked as a step of its project's history.

    What could not be decided (``error``) changed nothing and is no step; what was blocked is one.
    """

    @wraps(decide)
    def decide_and_mark(batch: Sequence[Request], reads: Any, now: int) -> list[Outcome]:
        outcomes = decide(batch, reads, now)
        for request, outcome in zip(batch, outcomes, strict=True):
            if outcome.error is None:
                _mark(request, outcome, now)
        return outcomes

    return decide_and_mark


#: The effects that change a member of a project, and which field names it.
_MEMBERS: Mapping[type, str] = {
    NewVersion: "artifact",
    SetArtifactState: "artifact",
    SetAlias: "artifact",
    SaveTask: "id",
}


def _mark(request: Request, outcome: Outcome, now: int) -> None:
    project = request.project
    step = Step(project or "", request.id, now)
    for write in outcome.writes:
        kind = type(write)
        if kind is SetEdges:
            step.edges[write.artifact] = write.depends_on  # type: ignore[attr-defined]
        elif isinstance(write, Change):
            # The outcome is not out of our hands yet; whoever gets it finds it as it will stay.
            force_setattr(write, "step", step)
            if kind in _MEMBERS:
                step.members.append(getattr(write, _MEMBERS[kind]))
            if kind is SaveProject or kind is SaveTask:
                project = write.id if kind is SaveProject else write.project  # type: ignore[attr-defined]
                force_setattr(step, "project", project)
                force_setattr(step, "first", kind is SaveProject and write.version == 1)  # type: ignore[attr-defined]
    if project is not None:
        outcome.writes.insert(0, step)
