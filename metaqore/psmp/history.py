"""A project's history: every decision about a project is one position of it, gapless and in the order of the commits.

``recorded`` is put around the ``decide`` of each kind of PSMP. It marks the decision as a ``Step`` and hangs every
``Change`` of it on that step; the store numbers the steps of a commit with one statement for each project. So no
handler knows of positions, and a half decision can never be looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from metaqore.messages import Outcome, Request
from metaqore.psmp.effects import Change, SaveProject, SaveTask, SetEdges, Step

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


def _mark(request: Request, outcome: Outcome, now: int) -> None:
    changes = [write for write in outcome.writes if isinstance(write, Change)]
    project, first = request.project, False
    for change in changes:
        if isinstance(change, SaveProject):
            project, first = change.id, change.version == 1
        elif isinstance(change, SaveTask):
            project = change.project
    if project is None:
        return
    edges = {write.artifact: write.depends_on for write in outcome.writes if isinstance(write, SetEdges)}
    step = Step(project=project, request=request.id, at=now, first=first, edges=edges)
    for change in changes:
        change.hang_on(step)
    outcome.writes = [step, *outcome.writes]
