"""PSMP's vocabulary: declarations, heads, conflicts, and a case that is being decided. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from metaqore.ids import new_id
from metaqore.messages import AuditNote, EventNote, Request
from metaqore.psmp.catalogue import Mode, Rule
from metaqore.psmp.policy import Policy
from metaqore.psmp.sensitivity import Looked


class Dependency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an artifact depends on: by ``artifact`` id, or by ``type`` and ``name`` in the same project.

    ``version`` is one version, or a range of versions such as ``">=2,<4"``.
    """

    artifact: str | None = None
    type: str | None = None
    name: str | None = None
    version: int | str | None = None
    kind: str = "uses"

    @property
    def shown(self) -> str:
        """How messages name it."""
        return self.artifact or f"{self.type}/{self.name}"


class Requirement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A package constraint, e.g. ``requests >=2.0`` from PyPI."""

    name: str
    specifier: str = ""
    ecosystem: Literal["pypi", "npm"] = "pypi"
    scope: Literal["runtime", "dev", "build"] = "runtime"


class Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What nobody else should touch meanwhile: file paths (globs) and named resources."""

    paths: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()


class Read(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version that was read while the work was done: by ``artifact`` id, or by ``type`` and ``name``."""

    version: int
    artifact: str | None = None
    type: str | None = None
    name: str | None = None

    @property
    def shown(self) -> str:
        """How messages name it."""
        return self.artifact or f"{self.type}/{self.name}"


class Declaration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The payload of ``artifact.declare``.

    ``content`` is a JSON document, a text, or a list of files ``{"files": {path: text}}``. ``base_version`` is the
    version this work started from; None or 0 says "I believe that it is new". A list of ``claims`` means paths.
    ``owns`` are JSON pointers that the author takes or keeps as their manager (None says nothing about them, empty
    gives all up), ``force`` those among them that are taken from another. ``intent`` is the id of the announced intent
    that this fulfils. ``if_match`` and ``replaces`` are conditions: the version of the head that it is sent for, and
    the author's own blocked proposal whose place it takes (``conditions``, ``replacements``).
    """

    type: str
    name: str
    content: Any
    base_version: int | None = None
    depends_on: tuple[Dependency, ...] = ()
    requires: tuple[Requirement, ...] = ()
    claims: tuple[str, ...] | Claims = ()
    read_set: tuple[Read, ...] = ()
    owns: tuple[str, ...] | None = None
    force: tuple[str, ...] = ()
    intent: str | None = None
    label: str | None = None
    provenance: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    if_match: int | None = None
    replaces: str | None = None

    @property
    def claimed(self) -> Claims:
        """The claims, whichever way they were written."""
        return self.claims if isinstance(self.claims, Claims) else Claims(paths=self.claims)


class Studied(msgspec.Struct, frozen=True, gc=False):
    """A declaration, parsed and hashed before the transaction begins. ``content`` and ``body`` are JSON text."""

    declaration: Declaration
    content: str
    content_hash: str
    body: str
    #: What the declaration uses; see ``traits``.
    traits: int
    #: The content says too little to be recognised: see ``declaration.FEWEST_CHARACTERS``.
    trivial: bool
    #: What its content holds that raises its label; None for nothing.
    looked: Looked | None = None


class Project(msgspec.Struct, kw_only=True):
    """A project as the rules need it."""

    id: str
    organization: str
    mode: Mode
    state: str
    #: When the last of its open intents expires; 0 where there is none.
    intents_until: int = 0


class Head(msgspec.Struct, kw_only=True, gc=False):
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
    #: Which side tables have rows of it; see ``holdings.Holds``.
    holds: int = 0
    #: At least the length of the longest chain of dependencies below it.
    depth: int = 0


class Conflict(msgspec.Struct, kw_only=True, frozen=True):
    """One conflict that was found, with what proves it.

    ``evidence["pointer"]`` says which part of the declaration is its cause, as a JSON pointer.
    """

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


class Merged(msgspec.Struct, frozen=True):
    """The outcome of a three-way merge of contents; ``hunks`` says where it failed."""

    clean: bool
    content: Any
    hunks: Sequence[Mapping[str, Any]]
    #: True where no part was changed on both sides, so that nothing had to be woven together.
    disjoint: bool = False
    #: The declaration with what the head has changed beside the content.
    declared: Declaration | None = None


class Case(msgspec.Struct, kw_only=True):
    """One declaration being decided: what checks are given."""

    request: Request
    studied: Studied
    project: Project
    head: Head | None
    #: The id of the artifact, also of one that is still to be made.
    artifact: str
    now: int
    #: The project's mode, or the one that a resolution asks for.
    mode: Mode
    policy: Policy
    #: What each entry of ``depends_on`` points at, in order; None where nothing is there.
    targets: list[Head | None] = []
    #: The dependencies that are kept as edges.
    dependencies: list[Head] = []
    #: The length of the longest chain of dependencies below it.
    depth: int = 0
    #: The depths of others that change with it: artifact → depth.
    deeper: dict[str, int] = {}
    #: The label of the version to be.
    label: str = ""
    #: Topological ranks that must change, by artifact.
    ranks: dict[str, int] = {}
    #: What the declaration uses, and whether the artifact exists; see ``traits``.
    traits: int = 0
    conflicts: list[Conflict] = []
    #: The merge with the present head, where the declaration started from an older version.
    merged: Merged | None = None
    #: What the engine adds to the provenance of the version.
    provenance: dict[str, Any] = {}
    #: What checks add to the result of an admitted declaration, to its audit entries and to its events.
    result: dict[str, Any] = {}
    audit: list[AuditNote] = []
    events: list[EventNote] = []

    @property
    def declaration(self) -> Declaration:
        """What is declared."""
        return self.studied.declaration

    @property
    def where(self) -> str:
        """How messages name the artifact."""
        return f"{self.declaration.type}/{self.declaration.name}"

    @property
    def rank(self) -> int:
        """The artifact's topological rank.

        The number of its request is a new artifact's rank: nearly always higher than that of all it can depend on.
        """
        return self.ranks.get(self.artifact, self.head.rank if self.head is not None else self.request.seq)

    def found(self, rule: Rule, message: str, pointer: str, **evidence: Any) -> Conflict:
        """Return a conflict of ``rule``, with the severity and the strategy that are in force.

        Args:
            pointer: which part of the declaration is its cause, e.g. ``/depends_on/2``.
        """
        return conflict_of(self.policy, rule, message, pointer, **evidence)


def conflict_of(policy: Policy, rule: Rule, message: str, pointer: str, **evidence: Any) -> Conflict:
    """Return a conflict of ``rule``, with the severity and the strategy that are in force."""
    rule = policy.rules[rule.conflict_class]
    return Conflict(id=new_id("conf"), rule=rule, message=message, evidence={"pointer": pointer, **evidence})
