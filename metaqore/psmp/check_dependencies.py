"""Dependencies: are they there, at that version, and does the graph stay without cycles? Pure but for look-ups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from metaqore.psmp import graph
from metaqore.psmp.catalogue import CIRCULAR_DEPENDENCY, MISSING_DEPENDENCY, UNSATISFIED_RANGE
from metaqore.psmp.family import Family
from metaqore.psmp.model import Case, Conflict, Dependency, Head
from metaqore.psmp.version_range import parse_range
from metaqore.psmp.workspace import Workspace


def find(case: Case, workspace: Workspace) -> Iterable[Conflict]:
    """Look at each dependency in turn; what is sound becomes an edge."""
    if not case.declaration.depends_on:
        return ()
    found = []
    for index, dependency in enumerate(case.declaration.depends_on):
        conflict = _look_at(case, index, dependency, case.targets[index], workspace)
        if conflict is not None:
            found.append(conflict)
    return found


def _look_at(
    case: Case, index: int, dependency: Dependency, target: Head | None, workspace: Workspace
) -> Conflict | None:
    declaration = case.declaration
    if target is None:
        if (dependency.type, dependency.name) == (declaration.type, declaration.name):
            return _circular(case, index, [case.where, case.where])
        return _missing(case, index, dependency, f"{dependency.shown} does not exist in this project")
    version = dependency.version
    if isinstance(version, int) and not 1 <= version <= target.head:
        return _missing(case, index, dependency, f"{dependency.shown} has no version {version} (head {target.head})")
    if isinstance(version, str) and parse_range(version).newest(target.head) is None:
        message = f"no version of {dependency.shown} is in {version!r} (head {target.head})"
        return case.found(
            UNSATISFIED_RANGE, message, f"/depends_on/{index}/version",
            dependency=dependency.shown, version=version, head_version=target.head,
        )  # fmt: skip
    try:
        order_after(case, target, workspace)
    except graph.CycleFound as cycle:
        return _circular(case, index, cycle.path)
    case.dependencies.append(target)
    return None


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


def _missing(case: Case, index: int, dependency: Dependency, message: str) -> Conflict:
    return case.found(
        MISSING_DEPENDENCY, message, f"/depends_on/{index}", dependency=dependency.shown, version=dependency.version
    )  # fmt: skip


def _circular(case: Case, index: int, path: Sequence[str]) -> Conflict:
    message = "this dependency closes a cycle: " + " → ".join(path)
    return case.found(CIRCULAR_DEPENDENCY, message, f"/depends_on/{index}", cycle=list(path))


FAMILY = Family(rules=(MISSING_DEPENDENCY, CIRCULAR_DEPENDENCY, UNSATISFIED_RANGE), find=find)
