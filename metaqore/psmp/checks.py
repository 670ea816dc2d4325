"""Every conflict check, in the order in which their findings are reported, and what they need for a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

from metaqore.messages import Request, Write
from metaqore.psmp import (
    check_bounds,
    check_claims,
    check_constraints,
    check_content,
    check_dependencies,
    check_duplicates,
    check_intents,
    check_labels,
    check_lifecycle,
    check_ownership,
    check_read_set,
    check_sensitive,
    check_versions,
)
from metaqore.psmp.family import Family
from metaqore.psmp.model import Case, Conflict, Head
from metaqore.psmp.policy import Policy
from metaqore.psmp.ports import PsmpReads
from metaqore.psmp.traits import ANNOUNCED, HEAD
from metaqore.psmp.workspace import Workspace

#: Each family sees what the ones before it found (``case.conflicts``).
FAMILIES: tuple[Family, ...] = (
    check_lifecycle.FAMILY,
    check_versions.FAMILY,
    check_content.FAMILY,
    check_ownership.FAMILY,
    check_dependencies.FAMILY,
    check_constraints.FAMILY,
    check_claims.FAMILY,
    check_read_set.FAMILY,
    check_duplicates.FAMILY,
    check_intents.FAMILY,
    check_labels.FAMILY,
    check_sensitive.FAMILY,
    check_bounds.FAMILY,
)
#: Conflict class → the family that finds it.
FAMILY_OF: Mapping[str, Family] = {rule.conflict_class: family for family in FAMILIES for rule in family.rules}

#: What blocked declarations leave behind.
BLOCKED = tuple(family.blocked for family in FAMILIES if family.blocked is not None)


@cache
def finders(traits: int) -> tuple[Callable[[Case, Workspace], Iterable[Conflict]], ...]:
    """Return what looks for conflicts in a case with these traits."""
    return tuple(family.find for family in FAMILIES if family.when & traits)


@cache
def keepers(traits: int) -> tuple[Callable[[Case, Head, Workspace], Iterable[Write]], ...]:
    """Return what an admitted declaration with these traits leaves behind."""
    return tuple(family.admitted for family in FAMILIES if family.admitted is not None and family.when & traits)


def workspace_for(batch: Sequence[Request], reads: PsmpReads, policy: Policy) -> Workspace:
    """Return the workspace of a run of studied declarations, with all that the checks need."""
    workspace = Workspace(batch, reads, policy)
    traits = HEAD if workspace.is_known else 0
    if any(project.intents_until for project in workspace.projects.values()):
        traits |= ANNOUNCED
    for request in batch:
        traits |= request.studied.traits
    for family in FAMILIES:
        if family.prefetch is not None and family.when & traits:
            family.prefetch(batch, workspace)
    return workspace


def find_conflicts(case: Case, workspace: Workspace) -> None:
    """Let every family that it concerns look at the case; what they find is added to ``case.conflicts``."""
    for find in finders(case.traits):
        case.conflicts += find(case, workspace)
