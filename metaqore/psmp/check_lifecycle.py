"""What is deleted takes no new version. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from metaqore.psmp.catalogue import ILLEGAL_TRANSITION
from metaqore.psmp.family import Family
from metaqore.psmp.model import Case, Conflict
from metaqore.psmp.traits import HEAD
from metaqore.psmp.workspace import Workspace


def find(case: Case, _workspace: Workspace) -> Iterable[Conflict]:
    """Say where a new version is declared of an artifact that is deleted."""
    head = case.head
    if head is None or not case.policy.artifact.state(head.state).tombstone:
        return ()
    return (
        case.found(
            ILLEGAL_TRANSITION, f"{case.where} is {head.state}: declare it under another name", "/name",
            artifact=head.id, state=head.state, to=None, legal=list(case.policy.artifact.legal(head.state)),
        ),
    )  # fmt: skip


FAMILY = Family(rules=(ILLEGAL_TRANSITION,), when=HEAD, find=find)
