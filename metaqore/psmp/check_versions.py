"""Stale versions and parallel work: was this made from the present head, and who has moved it since? Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from metaqore.psmp.catalogue import PARALLEL_CREATION, VERSION_MISMATCH
from metaqore.psmp.check_content import resolve_by_merge
from metaqore.psmp.family import Family
from metaqore.psmp.model import Case, Conflict
from metaqore.psmp.traits import BASE, HEAD
from metaqore.psmp.workspace import Workspace


def find(case: Case, workspace: Workspace) -> Iterable[Conflict]:
    """Compare the base version with the head."""
    base = case.declaration.base_version or 0
    present = case.head.head if case.head is not None else 0
    if base == present:
        return ()
    movers = workspace.movers(case.head.id, base) if case.head is not None and base < present else []
    return (_conflict(case, base, present, movers),)


def _conflict(case: Case, base: int, present: int, movers: Sequence[str]) -> Conflict:
    """Tell parallel work from a stale version; ``movers`` made the versions after the base."""
    evidence = {"base_version": base, "head_version": present, "moved_by": sorted(set(movers))}
    others = sorted(set(movers) - {case.request.principal})
    if others:
        message = f"{case.where} moved from version {base} to {present} by {', '.join(others)} while this was made"
        return case.found(PARALLEL_CREATION, message, "/base_version", **evidence)
    if base > present:
        message = f"{case.where} is at version {present}, not at {base}"
    else:
        message = f"{case.where} is at version {present}; this was made from version {base}"
    return case.found(VERSION_MISMATCH, message, "/base_version", **evidence)


FAMILY = Family(rules=(VERSION_MISMATCH, PARALLEL_CREATION), when=HEAD | BASE, find=find, resolve=resolve_by_merge)
