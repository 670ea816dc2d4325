"""What a decision of PSMP can do: each effect is written by one function in the store. Pure."""

from __future__ import annotations

from typing import Literal

from metaqore.messages import Write
from metaqore.psmp.catalogue import Rule


class NewArtifact(Write, frozen=True):
    """Effect: an artifact appears with its first version."""

    id: str
    organization: str
    project: str
    type: str
    name: str
    state: str
    head: int
    content_hash: str
    label: str
    rank: int
    created_by: str
    at: int


class MoveHead(Write, frozen=True):
    """Effect: an artifact's head moves to its next version."""

    id: str
    head: int
    content_hash: str
    label: str
    updated_by: str
    at: int


class NewVersion(Write, frozen=True):
    """Effect: a version is appended. ``content`` and ``body`` are JSON text."""

    artifact: str
    version: int
    organization: str
    content: str
    content_hash: str
    label: str
    base_version: int | None
    body: str
    request_id: str
    created_by: str
    at: int


class SetEdges(Write, frozen=True):
    """Effect: the present dependencies of an artifact. ``fresh`` where it has none to replace."""

    artifact: str
    depends_on: tuple[str, ...]
    fresh: bool


class SetRank(Write, frozen=True):
    """Effect: an artifact gets another place in the topological order."""

    artifact: str
    rank: int


class SetArtifactState(Write, frozen=True):
    """Effect: an artifact moves along its lifecycle."""

    artifact: str
    state: str
    updated_by: str
    at: int


class NewProposal(Write, frozen=True):
    """Effect: a blocked declaration is kept, so that it can be admitted later. Its payload is the request's."""

    id: str
    organization: str
    project: str
    artifact: str | None
    type: str
    name: str
    request_id: str
    created_by: str
    at: int


class CloseProposal(Write, frozen=True):
    """Effect: a blocked declaration was admitted or withdrawn."""

    id: str
    state: Literal["admitted", "withdrawn"]
    at: int


class NewConflict(Write, frozen=True):
    """Effect: a conflict is recorded. ``state`` is open, or recorded where it was let through or resolved at once."""

    id: str
    organization: str
    project: str
    proposal: str | None
    artifact: str | None
    request_id: str
    rule: Rule
    mode: str
    state: Literal["open", "recorded", "resolved"]
    evidence: str
    resolution: str | None
    resolved_by: str | None
    at: int


class ResolveConflicts(Write, frozen=True):
    """Effect: the open conflicts of a proposal are resolved (or one escalated)."""

    ids: tuple[str, ...]
    state: Literal["resolved", "escalated"]
    resolution: str
    resolved_by: str
    at: int


class SaveProject(Write, frozen=True):
    """Effect: a project is created or changed; ``version`` 1 creates. JSON text in ``metadata``."""

    id: str
    organization: str
    name: str
    description: str
    owner: str
    mode: str
    state: str
    metadata: str
    version: int
    created_by: str
    at: int


class SaveTask(Write, frozen=True):
    """Effect: a task is created or changed; ``version`` 1 creates. JSON text in ``depends_on`` and ``metadata``."""

    id: str
    organization: str
    project: str
    title: str
    state: str
    assigned_to: str | None
    depends_on: str
    metadata: str
    version: int
    created_by: str
    at: int
