"""Dependencies: are they there, at that version, in a state to build on, and does the graph stay without cycles?

Pure but for the look-ups. Depending on the newest version is what is expected; a range says which versions will do,
and the newest of them is meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from metaqore.psmp import graph
from metaqore.psmp.catalogue import (
    BLOCKED_DEPENDENCY,
    CIRCULAR_DEPENDENCY,
    DEPRECATED_DEPENDENCY,
    MISSING_DEPENDENCY,
    SUPERSEDED_DEPENDENCY,
    UNSATISFIED_RANGE,
)
from metaqore.psmp.family import Family
from metaqore.psmp.model import Case, Conflict, Dependency, Head
from metaqore.psmp.traits import DEPENDS_ON
from metaqore.psmp.version_range import parse_range
from metaqore.psmp.workspace import Workspace

#: Artifacts of a cycle that are named for people; all of them are in the evidence.
_MOST_NAMED = 10


def find(case: Case, workspace: Workspace) -> Iterable[Conflict]:
    """Look at each dependency in turn; what is there and closes no cycle becomes an edge."""
    if not case.declaration.depends_on:
        return ()
    found: list[Conflict] = []
    for index, dependency in enumerate(case.declaration.depends_on):
        target = case.targets[index]
        if target is None or case.policy.artifact.state(target.state).as_dependency == "missing":
            found.append(_absent(case, index, dependency, target, workspace))
            continue
        wrong = _version(case, index, dependency, target)
        if wrong is not None and wrong.rule.id != SUPERSEDED_DEPENDENCY.id:
            found.append(wrong)
            continue
        try:
            order_after(case, target, workspace)
        except graph.CycleFound as cycle:
            found.append(_circular(case, index, cycle.path, workspace))
            continue
        case.dependencies.append(target)
        found += [wrong] if wrong is not None else []
        found += _state(case, index, dependency, target)
    return found


def _absent(case: Case, index: int, dependency: Dependency, target: Head | None, workspace: Workspace) -> Conflict:
    """Tell what never was from what is deleted, from the artifact itself, and from what is only proposed."""
    declaration = case.declaration
    if target is not None:
        message = f"{dependency.shown} is {target.state}"
    elif (dependency.type, dependency.name) == (declaration.type, declaration.name):
        return _circular(case, index, [case.where, case.where], workspace)
    else:
        proposal = None
        if dependency.artifact is None:
            proposal = workspace.blocked_proposal((case.project.id, dependency.type or "", dependency.name or ""))
        if proposal is not None:
            return case.found(
                BLOCKED_DEPENDENCY, f"{dependency.shown} is itself blocked, as proposal {proposal}",
                f"/depends_on/{index}", dependency=dependency.shown, proposal=proposal,
            )  # fmt: skip
        message = f"{dependency.shown} does not exist in this project"
    return case.found(
        MISSING_DEPENDENCY, message, f"/depends_on/{index}", dependency=dependency.shown, version=dependency.version
    )  # fmt: skip


def _version(case: Case, index: int, dependency: Dependency, target: Head) -> Conflict | None:
    version, pointer, head = dependency.version, f"/depends_on/{index}/version", target.head
    if version is None or version == head:
        return None
    evidence = {"dependency": dependency.shown, "version": version, "head_version": head}
    if isinstance(version, str):
        if parse_range(version).newest(head) is not None:
            return None
        message = f"no version of {dependency.shown} is in {version!r} (head {head})"
        return case.found(UNSATISFIED_RANGE, message, pointer, **evidence)
    if not 1 <= version < head:
        message = f"{dependency.shown} has no version {version} (head {head})"
        return case.found(MISSING_DEPENDENCY, message, f"/depends_on/{index}", **evidence)
    message = f"{dependency.shown} has moved on from version {version} to {head}"
    return case.found(SUPERSEDED_DEPENDENCY, message, pointer, **evidence)


def _state(case: Case, index: int, dependency: Dependency, target: Head) -> Iterable[Conflict]:
    meaning = case.policy.artifact.state(target.state).as_dependency
    if meaning == "sound":
        return ()
    rule = DEPRECATED_DEPENDENCY if meaning == "deprecated" else BLOCKED_DEPENDENCY
    return (
        case.found(
            rule, f"{dependency.shown} is {target.state}", f"/depends_on/{index}", dependency=dependency.shown,
            artifact=target.id, state=target.state, head_version=target.head,
        ),
    )  # fmt: skip


def order_after(case: Case, target: Head, workspace: Workspace) -> None:
    """Find the ranks that let the artifact come after ``target``.

    An edge that closes a cycle is never stored, even where the mode lets the declaration through: the order must
    stay sound.

    Raises:
        CycleFound: the edge would close one.
    """

    def moved(rows: Iterable[tuple[str, str, int]]) -> Iterable[tuple[str, str, int]]:
        # What an earlier dependency of this very declaration has moved.
        return ((node, other, case.ranks.get(other, rank)) for node, other, rank in rows)

    ranks = graph.add_edge(
        case.artifact, case.rank, target.id, case.ranks.get(target.id, target.rank),
        down=lambda ids: moved(workspace.down(ids)), up=lambda ids: moved(workspace.up(ids)),
    )  # fmt: skip
    case.ranks.update(ranks)


def _circular(case: Case, index: int, path: Sequence[str], workspace: Workspace) -> Conflict:
    some = path if len(path) <= _MOST_NAMED else [*path[: _MOST_NAMED - 1], path[-1]]
    names = {head.id: f"{head.type}/{head.name}" for head in workspace.heads_by_id(sorted({*some}))}
    shown = [names.get(artifact, artifact) for artifact in some]
    if len(some) < len(path):
        shown.insert(-1, f"{len(path) - len(some)} more")
    message = "this dependency closes a cycle: " + " → ".join(shown)
    return case.found(CIRCULAR_DEPENDENCY, message, f"/depends_on/{index}", cycle=list(path))


FAMILY = Family(
    rules=(
        MISSING_DEPENDENCY, CIRCULAR_DEPENDENCY, UNSATISFIED_RANGE, SUPERSEDED_DEPENDENCY, DEPRECATED_DEPENDENCY,
        BLOCKED_DEPENDENCY,
    ),
    when=DEPENDS_ON,
    find=find,
)  # fmt: skip
