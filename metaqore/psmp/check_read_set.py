"""What was read while the work was done: is it still what is there? (Write skew.) Pure."""

from __future__ import annotations

from collections.abc import Iterable

from metaqore.psmp.catalogue import READ_SET_CHANGED
from metaqore.psmp.family import Family
from metaqore.psmp.model import Case, Conflict, Head, Read
from metaqore.psmp.traits import READ_SET
from metaqore.psmp.workspace import Workspace


def find(case: Case, workspace: Workspace) -> Iterable[Conflict]:
    """Compare each version that was read with the present head."""
    found = []
    for index, read in enumerate(case.declaration.read_set):
        head = workspace.dependency(case.project.id, read)
        if head is not None and head.id == case.artifact:
            # Whether that is still the head is what base_version is for.
            continue
        deleted = head is not None and case.policy.artifact.state(head.state).as_dependency == "missing"
        if head is None or deleted or head.head != read.version:
            found.append(_changed(case, index, read, head))
    return found


def _changed(case: Case, index: int, read: Read, head: Head | None) -> Conflict:
    present = head.head if head is not None else 0
    name = read.shown if head is None else f"{head.type}/{head.name}"
    now = "it is not in this project"
    if head is not None:
        now = f"it is at version {present} now" if present != read.version else f"it is {head.state} now"
    return case.found(
        READ_SET_CHANGED, f"{case.where} was made from version {read.version} of {name}: {now}",
        f"/read_set/{index}", artifact=head.id if head is not None else read.artifact, read=name,
        read_version=read.version, head_version=present, moved_by=head.updated_by if head is not None else None,
    )  # fmt: skip


FAMILY = Family(rules=(READ_SET_CHANGED,), when=READ_SET, find=find)
