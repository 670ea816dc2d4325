"""PSMP's policy: lifecycles, rules, bounds. Values only; ``policy_file`` reads them from ``config/policies/psmp.yaml``.

Pure. One policy is loaded when a process starts, and every decision carries its digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import msgspec

from metaqore.canonical import content_hash
from metaqore.errors import InvalidInput
from metaqore.psmp.catalogue import Rule
from metaqore.psmp.sensitivity import Look

Subject = Literal["artifact", "task", "project"]
#: What it means to depend on an artifact in a state.
AsDependency = Literal["sound", "deprecated", "blocked", "missing"]

SUBJECTS: tuple[Subject, ...] = get_args(Subject)
#: Roles that a principal may have towards a thing, beside its scopes.
ROLES: Mapping[Subject, tuple[str, ...]] = {
    "artifact": ("owner", "creator"),
    "task": ("owner", "creator", "assignee"),
    "project": ("owner", "creator"),
}
#: Checks that a move may ask for.
GATES: Mapping[Subject, tuple[str, ...]] = {
    "artifact": ("dependencies_sound", "no_dependants", "no_open_conflicts"),
    "task": ("dependencies_done",),
    "project": ("no_open_conflicts", "tasks_final"),
}


class LifeState(msgspec.Struct, frozen=True, kw_only=True):
    """A state of a lifecycle, and what being in it means."""

    name: str
    final: bool = False
    as_dependency: AsDependency = "sound"
    tombstone: bool = False
    done: bool = False
    closed: bool = False


class Move(msgspec.Struct, frozen=True):
    """A move that a lifecycle allows. An empty ``who`` is whoever may write."""

    to: str
    who: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()


class Lifecycle(msgspec.Struct, frozen=True):
    """The states of one kind of thing, and the moves between them."""

    initial: str
    states: Mapping[str, LifeState]
    #: State → the moves that leave it.
    moves: Mapping[str, tuple[Move, ...]]

    def state(self, name: str) -> LifeState:
        """Return a state; one that the policy no longer knows means nothing special."""
        return self.states.get(name) or LifeState(name=name)

    def legal(self, state: str) -> tuple[str, ...]:
        """Return where a thing in ``state`` may go."""
        return tuple(move.to for move in self.moves.get(state, ()))

    def move(self, state: str, to: str) -> Move | None:
        """Return the move from ``state`` to ``to``; None where it is not allowed."""
        return next((move for move in self.moves.get(state, ()) if move.to == to), None)

    def flagged(self, flag: str) -> frozenset[str]:
        """Return the states that have a flag, e.g. ``closed``."""
        return frozenset(name for name, state in self.states.items() if getattr(state, flag))


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much may be; None is no bound."""

    dependency_depth: int | None = None
    parallel_branches: int | None = None
    conversation_turns: int | None = None
    conversation_participants: int | None = None


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """All that is decided by."""

    #: By conflict class.
    rules: Mapping[str, Rule]
    artifact: Lifecycle
    task: Lifecycle
    project: Lifecycle
    bounds: Bounds
    reserved_types: frozenset[str]
    #: Of all of this, ``sha256:…``.
    digest: str = ""
    #: Who is asked what a content holds; it decides by its own digest. None asks nobody.
    look: Look | None = None

    def lifecycle(self, subject: Subject) -> Lifecycle:
        """Return the lifecycle of a kind of thing."""
        found: Lifecycle = getattr(self, subject)
        return found

    def check_type(self, name: str) -> None:
        """Refuse a type that is not for agents.

        Raises:
            InvalidInput: it is reserved.
        """
        if name in self.reserved_types:
            detail = f"{name!r} is reserved: only MetaQore itself declares it"
            raise InvalidInput(f"type {detail}", errors=[{"pointer": "/type", "detail": detail}])


def sealed(policy: Policy) -> Policy:
    """Return the policy with its digest."""
    data = msgspec.to_builtins(msgspec.structs.replace(policy, digest="", reserved_types=frozenset(), look=None))
    del data["look"]
    data["reserved_types"] = sorted(policy.reserved_types)
    return msgspec.structs.replace(policy, digest=content_hash(data))


def with_bounds(policy: Policy, **bounds: int) -> Policy:
    """Return the policy with those bounds replaced that are not 0."""
    changed = {name: bound for name, bound in bounds.items() if bound}
    if not changed:
        return policy
    return sealed(msgspec.structs.replace(policy, bounds=msgspec.structs.replace(policy.bounds, **changed)))
