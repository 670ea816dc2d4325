"""PSMP's vocabulary: artifacts, declarations, conflicts, lifecycles, and the effects a decision can have. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

import msgspec

from metaqore.messages import Write

Mode = Literal["strict", "adaptive", "playground"]


class Severity(StrEnum):
    """How bad a conflict is."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Strategy(StrEnum):
    """The four ways out of a conflict."""

    RETRY = "retry"
    MERGE = "merge"
    OVERRIDE = "override"
    ESCALATE = "escalate"


class Rule(msgspec.Struct, frozen=True):
    """One conflict rule. ``conflict_class`` is stable: clients match on it."""

    id: str
    conflict_class: str
    severity: Severity
    strategy: Strategy


VERSION_MISMATCH = Rule("psmp.version_mismatch.v1", "version_mismatch", Severity.MEDIUM, Strategy.RETRY)
PARALLEL_CREATION = Rule("psmp.parallel_creation.v1", "parallel_creation", Severity.HIGH, Strategy.MERGE)
MISSING_DEPENDENCY = Rule("psmp.missing_dependency.v1", "missing_dependency", Severity.HIGH, Strategy.RETRY)
CIRCULAR_DEPENDENCY = Rule("psmp.circular_dependency.v1", "circular_dependency", Severity.CRITICAL, Strategy.ESCALATE)
RULES: Mapping[str, Rule] = {
    rule.conflict_class: rule for rule in (VERSION_MISMATCH, PARALLEL_CREATION, MISSING_DEPENDENCY, CIRCULAR_DEPENDENCY)
}

#: The built-in lifecycles: state → where it may go. ``None`` names the state in which a thing begins.
LIFECYCLES: Mapping[str, Mapping[str | None, tuple[str, ...]]] = {
    "artifact": {
        None: ("proposed",),
        "proposed": ("active", "deprecated"),
        "active": ("deprecated",),
        "deprecated": (),
    },
    "task": {
        None: ("pending",),
        "pending": ("in_progress", "blocked", "cancelled"),
        "in_progress": ("completed", "failed", "blocked", "cancelled"),
        "blocked": ("pending", "in_progress", "cancelled"),
        "failed": ("pending",),
        "completed": (),
        "cancelled": (),
    },
    "project": {
        None: ("initialized",),
        "initialized": ("planning", "in_progress", "archived"),
        "planning": ("in_progress", "blocked", "archived"),
        "in_progress": ("completed", "blocked", "failed", "archived"),
        "blocked": ("in_progress", "archived"),
        "failed": ("in_progress", "archived"),
        "completed": ("archived",),
        "archived": (),
    },
}

#: Types that only MetaQore itself may declare.
RESERVED_TYPES = frozenset({"specialist_model", "compliance_report"})


class Dependency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an artifact depends on: by ``artifact`` id, or by ``type`` and ``name`` in the same project."""

    artifact: str | None = None
    type: str | None = None
    name: str | None = None
    version: int | None = None
    kind: str = "uses"


class Requirement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A package constraint, e.g. ``requests >=2.0`` from PyPI."""

    name: str
    specifier: str = ""
    ecosystem: Literal["pypi", "npm"] = "pypi"
    scope: Literal["runtime", "dev", "build"] = "runtime"


class Declaration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The payload of ``artifact.declare``.

    ``base_version`` is the version this work started from; None or 0 says "I believe that it is new".
    """

    type: str
    name: str
    content: Any
    base_version: int | None = None
    depends_on: tuple[Dependency, ...] = ()
    requires: tuple[Requirement, ...] = ()
    claims: tuple[str, ...] = ()
    label: str | None = None
    metadata: dict[str, Any] = {}


class Studied(msgspec.Struct, frozen=True):
    """A declaration, parsed and hashed before the transaction begins."""

    declaration: Declaration
    content: str
    content_hash: str
    body: str


class Project(msgspec.Struct, kw_only=True):
    """A project as the rules need it."""

    id: str
    organization: str
    mode: Mode
    state: str


class Head(msgspec.Struct, kw_only=True):
    """The present version of an artifact."""

    id: str
    project: str
    type: str
    name: str
    state: str
    head: int
    content_hash: str
    label: str
    rank: int
    created_by: str
    updated_by: str


class Conflict(msgspec.Struct, kw_only=True, frozen=True):
    """One conflict that was found, with what proves it."""

    id: str
    rule: Rule
    message: str
    evidence: Mapping[str, Any]

    def shown(self) -> dict[str, Any]:
        """Return it as callers see it."""
        return {
            "id": self.id,
            "class": self.rule.conflict_class,
            "rule_id": self.rule.id,
            "severity": self.rule.severity.value,
            "strategy": self.rule.strategy.value,
            "message": self.message,
            "evidence": self.evidence,
        }


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
