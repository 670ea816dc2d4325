"""Every conflict check, in the order in which their findings are reported, and what they need for a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from metaqore.messages import Request
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
    check_versions,
)
from metaqore.psmp.family import Family
from metaqore.psmp.model import Case
from metaqore.psmp.policy import Policy
from metaqore.psmp.ports import PsmpReads
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
    check_bounds.FAMILY,
)
#: Conflict class → the family that finds it.
FAMILY_OF: Mapping[str, Family] = {rule.conflict_class: family for family in FAMILIES for rule in family.rules}

_FIND = tuple(family.find for family in FAMILIES)
_PREFETCH = tuple(family.prefetch for family in FAMILIES if family.prefetch is not None)
#: What admitted and blocked declarations leave behind.
ADMITTED = tuple(family.admitted for family in FAMILIES if family.admitted is not None)
BLOCKED = tuple(family.blocked for family in FAMILIES if family.blocked is not None)


def workspace_for(batch: Sequence[Request], reads: PsmpReads, policy: Policy) -> Workspace:
    """Return the workspace of a run of studied declarations, with all that the checks need."""
    workspace = Workspace(batch, reads, policy)
    for prefetch in _PREFETCH:
        prefetch(batch, workspace)
    return workspace


def find_conflicts(case: Case, workspace: Workspace) -> None:
    """Let every family look at the case; what they find is added to ``case.conflicts``."""
    for find in _FIND:
        case.conflicts += find(case, workspace)
