"""Labels: what is made from something is at least as sensitive as that. Pure.

The inputs of a declaration are its dependencies (also those that are let through without becoming edges), what it says
it has read, and the version before it. Their highest label is inherited. A lower one that is declared is a conflict,
and is not taken over in any mode: only a declassification (``artifact.declassify``) lowers a label.

Source: the join of labels in a lattice of information flow: D. E. Denning, "A Lattice Model of Secure Information
Flow", CACM 19 (1976).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from metaqore.psmp.catalogue import LABEL_LOWERED
from metaqore.psmp.declaration import DEFAULT_LABEL, LABELS
from metaqore.psmp.family import Family, Resolved
from metaqore.psmp.model import Case, Conflict, Head
from metaqore.psmp.traits import DEPENDS_ON, LABEL, READ_SET
from metaqore.psmp.workspace import Workspace

_RANK = {label: rank for rank, label in enumerate(LABELS)}


def find(case: Case, workspace: Workspace) -> Iterable[Conflict]:
    """Settle the label of the version, and say where a lower one was declared."""
    declared, head = case.declaration.label, case.head
    least = head.label if head is not None else DEFAULT_LABEL if declared is None else LABELS[0]
    inputs = _inputs(case, workspace)
    inherited = max([least, *(each.label for each in inputs)], key=rank_of)
    if declared is None or rank_of(declared) >= rank_of(inherited):
        case.label = declared or inherited
        return ()
    case.label = inherited
    return (_lowered(case, declared, inherited, inputs),)


def rank_of(label: str) -> int:
    """Return how high a label is; one that this release does not know counts as the highest."""
    return _RANK.get(label, len(LABELS))


def _inputs(case: Case, workspace: Workspace) -> list[Head]:
    read = [workspace.dependency(case.project.id, read) for read in case.declaration.read_set]
    return [head for head in (*case.targets, *read) if head is not None]


def joined(label: str, inputs: Sequence[Head]) -> str:
    """Return the least label of what is labelled ``label`` and made from ``inputs`` as well."""
    return max([label, *(each.label for each in inputs)], key=rank_of)


def _lowered(case: Case, declared: str, inherited: str, inputs: Sequence[Head]) -> Conflict:
    sources = [f"{each.type}/{each.name}" for each in inputs if each.label == inherited]
    if case.head is not None and case.head.label == inherited:
        sources.insert(0, case.where)
    return case.found(
        LABEL_LOWERED, f"{case.where} is declared {declared}, but is made from what is {inherited}", "/label",
        declared=declared, inherited=inherited, sources=list(dict.fromkeys(sources)),
    )  # fmt: skip


def keep_label(_case: Case, _conflicts: Sequence[Conflict], _workspace: Workspace) -> Resolved:
    """Admit it under the inherited label."""
    return Resolved(how="label_kept")


FAMILY = Family(rules=(LABEL_LOWERED,), when=DEPENDS_ON | READ_SET | LABEL, find=find, resolve=keep_label)
