"""What a restore is asked for, what it looks up, and what it carries along while it is decided. See ``restore``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from metaqore.messages import Outcome, Request
from metaqore.psmp.checkpoints import Place, PointReads
from metaqore.psmp.diff import Difference, Member
from metaqore.psmp.model import Conflict, Head
from metaqore.psmp.policy import Policy
from metaqore.psmp.ports import PsmpReads


class Restore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of ``project.restore``."""

    #: Position, time or checkpoint, as it was asked for.
    to: str
    #: Where that was when it was accepted; the door fills it in, so that what is restored does not depend on when.
    position: int | None = None
    #: The checkpoint that was meant, so that it is not deleted before.
    checkpoint: str | None = None
    #: What becomes of artifacts that did not exist then.
    created_since: Literal["deprecate", "delete", "keep"] = "deprecate"
    #: ``keep``: where the label of today is higher, it stays. ``exact``: a restore that would lower one is refused.
    labels: Literal["exact", "keep"] = "exact"
    #: Ids of the only members to restore; empty is all.
    only: tuple[str, ...] = ()
    reason: str = ""


class PastReads(PointReads, PsmpReads, Protocol):
    """What a restore needs to look up."""

    def changed_since(self, project: str, position: int, limit: int) -> Sequence[tuple[int, str, str]]:
        """Return (position, id, kind) of the members that changed after a position."""

    def members_at(self, changes: Collection[tuple[int, str, str]], position: int) -> Mapping[str, Member]:
        """Return those of the members that existed at a position, as they were."""

    def version_sizes(self, versions: Collection[tuple[str, int]]) -> int:
        """Return how many characters of content these versions have together."""

    def declarations(self, versions: Collection[tuple[str, int]]) -> Mapping[str, Mapping[str, Any]]:
        """Return artifact → type, name, content, label, body and edges (None: unknown) of one version each."""


class Work(msgspec.Struct, kw_only=True):
    """A restore being decided."""

    request: Request
    asked: Restore
    place: Place
    reads: PastReads
    policy: Policy
    now: int
    mode: Literal["strict", "adaptive", "playground"]
    differences: list[Difference]
    heads: dict[str, Head]
    #: The members as they were, those that were deleted then among them.
    then: Mapping[str, Member]
    outcome: Outcome
    members: list[dict[str, Any]] = []
    conflicts: list[Conflict] = []

    def note(self, difference: Difference, did: str, **more: Any) -> None:
        """Report what was done to a member."""
        member = difference.before or difference.after
        if member is not None:
            shown = {"kind": member.kind, "id": member.id, "title": member.title, "did": did}
            self.members.append({**shown, **more})
