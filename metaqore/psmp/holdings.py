"""What the present version of an artifact holds beside its content: requirements, claims, managed fields. Pure.

Only heads hold. Each declaration says anew what its artifact requires and claims, so that what a version leaves out
is given up with it. A deprecated artifact holds nothing. Which side tables have rows of an artifact is kept as bits on
its head (``Holds``), so that a declaration of an artifact that holds nothing costs no statement.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import IntFlag
from typing import Any, Protocol

import msgspec

from metaqore.messages import Write
from metaqore.psmp.effects import Change
from metaqore.psmp.manifest import Held, Holder, Slot
from metaqore.psmp.model import Head
from metaqore.psmp.ownership import Field
from metaqore.psmp.policy import Policy


class Holds(IntFlag):
    """Which side tables have rows of an artifact."""

    REQUIREMENTS = 1
    CLAIMS = 2
    FIELDS = 4


class Claim(msgspec.Struct, frozen=True):
    """A path or resource that is held, or what an open intent is going to read, write or make.

    ``kind`` is ``path`` (``prefix`` its literal prefix, see ``globs``), ``resource``, ``write`` or ``read``
    (``type/name``), or ``content`` (a content hash). ``holder`` is an artifact or an intent; intents expire.
    """

    project: str
    kind: str
    prefix: str
    pattern: str
    holder: str
    principal: str
    #: What people call the holder: ``type/name``, or the intent's purpose.
    title: str
    seq: int
    expires_at: int | None


class Intent(msgspec.Struct, kw_only=True):
    """An announced intent, as the rules need it. ``remaining`` are the writes still to come, as ``type/name``."""

    id: str
    project: str
    principal: str
    state: str
    remaining: list[str]
    expires_at: int


class SetRequirements(Write, frozen=True):
    """Effect: what an artifact requires now: (slot, specifier, scope). ``fresh`` where it has nothing to replace."""

    artifact: str
    declared_by: str
    rows: tuple[tuple[Slot, str, str], ...]
    fresh: bool


class SetClaims(Write, frozen=True):
    """Effect: what an artifact or an intent claims now. ``fresh`` where it has nothing to replace."""

    holder: str
    rows: tuple[Claim, ...]
    fresh: bool


class SetFields(Write, frozen=True):
    """Effect: who manages which fields of an artifact now. ``fresh`` where it has nothing to replace."""

    artifact: str
    rows: tuple[Field, ...]
    fresh: bool


class Release(Write, frozen=True):
    """Effect: an artifact gives up whatever it holds."""

    artifact: str


class SetHolds(Write, frozen=True):
    """Effect: an artifact holds something again: which side tables have rows of it."""

    artifact: str
    holds: int


class NewIntent(Change, frozen=True):
    """Effect: an intent is announced. JSON text in ``body`` and ``remaining``."""

    id: str
    organization: str
    project: str
    principal: str
    purpose: str
    body: str
    remaining: str
    request_id: str
    seq: int
    expires_at: int
    at: int


class ChangeIntent(Change, frozen=True):
    """Effect: an intent is fulfilled, in part or in full, or withdrawn; what is not open claims nothing."""

    id: str
    state: str
    remaining: str
    at: int


def released(policy: Policy, head: Head, to: str) -> list[Write]:
    """Return the effects that a move to another state of the lifecycle has on what an artifact holds."""
    return [Release(head.id)] if head.holds and not holds_in(policy, to) else []


def holds_in(policy: Policy, state: str) -> bool:
    """Return whether an artifact in this state of its lifecycle may hold anything: not if it is deprecated or gone."""
    meaning = policy.artifact.state(state)
    return meaning.as_dependency in ("sound", "blocked") and not meaning.tombstone


def holding_states(policy: Policy) -> list[str]:
    """Return the states in which an artifact's head holds."""
    return [state for state in policy.artifact.states if holds_in(policy, state)]


class HoldingReads(Protocol):
    """Look-ups inside the deciding transaction, all by index and many keys at once."""

    def specifiers(self, slots: Collection[Slot]) -> Sequence[Held]:
        """Return the different specifiers in each slot, each with two of its holders."""

    def requirement_holder(self, slot: Slot, specifier: str, but: Collection[str]) -> Holder | None:
        """Return the first artifact, by id, with this specifier that is none of ``but``."""

    def claims(
        self, keys: Collection[tuple[str, str, str]], between: Collection[tuple[str, str, str]], limit: int
    ) -> Sequence[Claim]:
        """Return claims in the order of project, kind, prefix, pattern and holder.

        Args:
            keys: (project, kind, prefix)
            between: (project, low, high) for paths with ``low < prefix < high``.
            limit: the most that are returned for each of ``keys`` and of ``between``.
        """

    def fields(self, artifacts: Collection[str]) -> Mapping[str, Sequence[Field]]:
        """Return who manages what, by artifact."""

    def same_content(self, contents: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], tuple[str, str]]:
        """Return by (project, content hash) the first two artifacts, by id, whose head has that content.

        Where there is only one, it stands twice.
        """

    def another_with(
        self, project: str, content_hash: str, but: Collection[str], states: Collection[str]
    ) -> str | None:
        """Return the first artifact, by id, in one of ``states``, that has that content and is none of ``but``."""

    def intents(self, ids: Collection[str]) -> Mapping[str, Intent]:
        """Return intents by id."""

    def blocked_proposals(self, identities: Collection[tuple[str, str, str]]) -> Sequence[Mapping[str, Any]]:
        """Return the blocked proposals of (project, type, name): id, type, name, created_by, created_at."""
