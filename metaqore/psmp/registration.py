"""What MetaQore itself declares: artifacts of the reserved types, in a project that it keeps for them.

Both kinds come as follow-ups of decisions only; there is no door through which anybody else could send them. They are
decided like every declaration: conflicts, stops, history and audit are the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from metaqore.audit.tags import Tag
from metaqore.errors import InvalidInput
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Verdict
from metaqore.psmp.declaration import check, studied
from metaqore.psmp.effects import SaveProject
from metaqore.psmp.model import Declaration, Studied
from metaqore.psmp.policy import Policy
from metaqore.psmp.ports import PsmpReads


def study(request: Request, *, policy: Policy) -> Studied:
    """Parse, check and hash a declaration of a reserved type.

    Raises:
        InvalidInput: it is no valid declaration, or its type is anybody's.
    """
    try:
        declaration = msgspec.convert(request.payload, Declaration)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"artifact.register: {error}") from error
    check(declaration)
    if declaration.type not in policy.reserved_types:
        raise InvalidInput(f"type {declaration.type!r} is not reserved: declare it with artifact.declare")
    return studied(declaration)


def provide(batch: Sequence[Request], reads: PsmpReads, now: int, *, policy: Policy) -> list[Outcome]:
    """Make the project ``request.project`` where there is none; payload ``{"name", "description"}``."""
    return [_provide(request, reads, now, policy) for request in batch]


def _provide(request: Request, reads: PsmpReads, now: int, policy: Policy) -> Outcome:
    project = str(request.project)
    if reads.project_row(request.organization, project) is not None:
        return Outcome(verdict=Verdict.APPROVED, result={"project": project, "made": False})
    state = policy.project.initial
    write = SaveProject(
        id=project, organization=request.organization, name=str(request.payload["name"]),
        description=str(request.payload["description"]), owner=request.principal, mode="strict", state=state,
        metadata="{}", version=1, created_by=request.principal, at=now,
    )  # fmt: skip
    details = {"mode": write.mode, "state": state, "version": write.version}
    note = AuditNote(
        tag=Tag.PROJECT_CREATED, subject=project, outcome="approved", details=details, policy_digest=policy.digest
    )
    event = EventNote("project.created", project, {"mode": write.mode, "state": state})
    result = {"project": project, "made": True}
    return Outcome(verdict=Verdict.APPROVED, result=result, writes=[write], audit=[note], events=[event])
