"""What a decision of PSMP can do: each effect is written by one function in the store. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from metaqore.messages import Write
from metaqore.psmp.catalogue import Rule


class Step(Write, frozen=True):
    """Effect: a project's history goes one position on; one decision is one step, whatever it changes.

    ``history.recorded`` makes it and hangs it on every ``Change`` of the decision; the store numbers it.
    """

    project: str
    request: str
    at: int
    #: The step that creates the project.
    first: bool = False
    #: Artifact → what its new version depends on.
    edges: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    #: Ids of the artifacts and tasks that it changes.
    members: list[str] = msgspec.field(default_factory=list)
    position: int = 0


class Change(Write, frozen=True, kw_only=True):
    """An effect that a project's history keeps. ``step`` is filled in after the decision, never by a handler."""

    step: Step | None = None

    @property
    def position(self) -> int:
        """Its position in the project's history; known once the step was written.

        Raises:
            LookupError: it was decided outside of ``history.recorded``, which would leave a hole in the history.
        """
        if self.step is None:
            raise LookupError(f"{type(self).__name__} has no step: decide its kind through history.recorded")
        return self.step.position


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
    holds: int = 0
    depth: int = 0


class MoveHead(Write, frozen=True):
    """Effect: an artifact's head moves to its next version."""

    id: str
    head: int
    content_hash: str
    label: str
    updated_by: str
    at: int
    holds: int = 0
    depth: int = 0


class NewVersion(Change, frozen=True):
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


class SetAlias(Change, frozen=True):
    """Effect: an alias of an artifact points at a version; None takes it away."""

    artifact: str
    alias: str
    version: int | None
    set_by: str
    at: int


class SetDepth(Write, frozen=True):
    """Effect: an artifact gets deeper, by what something below it depends on now."""

    artifact: str
    depth: int


class CountTurn(Write, frozen=True):
    """Effect: one more turn of a conversation."""

    project: str
    conversation: str
    principal: str


class SetArtifactState(Change, frozen=True):
    """Effect: an artifact moves along its lifecycle."""

    artifact: str
    state: str
    updated_by: str
    at: int


class NewProposal(Change, frozen=True):
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


class CloseProposal(Change, frozen=True):
    """Effect: a blocked declaration was admitted, withdrawn by its author or denied by a person."""

    id: str
    state: Literal["admitted", "withdrawn", "denied"]
    at: int


class NewConflict(Change, frozen=True):
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


class ResolveConflicts(Change, frozen=True):
    """Effect: the open conflicts of a proposal are resolved, escalated, or open again where nobody answered in time."""

    ids: tuple[str, ...]
    state: Literal["resolved", "escalated", "open"]
    resolution: str | None
    resolved_by: str | None
    at: int


class SaveProject(Change, frozen=True):
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


class SaveTask(Change, frozen=True):
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
