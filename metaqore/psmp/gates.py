"""The checks that a move along a lifecycle may ask for (``policy.GATES``). Pure but for the look-ups."""

from __future__ import annotations

from collections.abc import Collection

from metaqore.psmp.model import Head
from metaqore.psmp.moves import Refused, unmet
from metaqore.psmp.policy import Move, Policy
from metaqore.psmp.ports import PsmpReads


def artifact_gate(move: Move, head: Head, reads: PsmpReads, policy: Policy) -> Refused | None:
    """Return why the checks of a move of an artifact do not hold; None where they do."""
    for check in move.checks:
        if check == "dependencies_sound":
            found = _unsound(head, reads, policy)
        elif check == "no_dependants":
            found = ", ".join(other.id for other in live_dependants(head.id, reads, policy)[:5])
        else:
            found = reads.open_conflict(head.project, head.id) or ""
        if found:
            legal = policy.artifact.legal(head.state)
            return unmet(check, f"artifact {head.id}", head.state, move.to, found, legal)
    return None


def project_gate(
    move: Move, what: str, state: str, project: str, reads: PsmpReads, policy: Policy
) -> Refused | None:  # fmt: skip
    """Return why the checks of a move of a project do not hold; None where they do."""
    for check in move.checks:
        if check == "tasks_final":
            found = reads.task_not_in(project, policy.task.flagged("final"))
        else:
            found = reads.open_conflict(project)
        if found:
            return unmet(check, what, state, move.to, found, policy.project.legal(state))
    return None


def task_gate(
    move: Move, what: str, state: str, project: str, needed: Collection[str], reads: PsmpReads, policy: Policy
) -> Refused | None:
    """Return why the checks of a move of a task do not hold; None where they do."""
    if "dependencies_done" not in move.checks or not needed:
        return None
    done = policy.task.flagged("done")
    waits = sorted(task for task, its in reads.task_states(project, needed).items() if its not in done)
    return (
        unmet("dependencies_done", what, state, move.to, ", ".join(waits), policy.task.legal(state)) if waits else None
    )


def live_dependants(artifact: str, reads: PsmpReads, policy: Policy) -> list[Head]:
    """Return the artifacts that depend on this one and are not deleted themselves."""
    ids = {other for _, other, _ in reads.up([artifact])}
    return [head for head in reads.heads((), ids) if not policy.artifact.state(head.state).tombstone] if ids else []


def _unsound(head: Head, reads: PsmpReads, policy: Policy) -> str:
    ids = {other for _, other, _ in reads.down([head.id])}
    heads = reads.heads((), ids) if ids else ()
    unsound = [h for h in heads if policy.artifact.state(h.state).as_dependency != "sound"]
    return ", ".join(f"{other.type}/{other.name} is {other.state}" for other in unsound)
