"""What SecureGateway needs to look up, inside the deciding transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class StoredPolicy(msgspec.Struct, frozen=True):
    """Which policy an organization (``project`` is "") or a project has now."""

    organization: str
    project: str
    version: int
    digest: str


class Stop(msgspec.Struct, frozen=True):
    """A principal, project or provider that may do nothing. Times are milliseconds since the epoch."""

    organization: str
    #: ``principal``, ``project`` or ``provider``.
    kind: str
    subject: str
    reason: str
    set_by: str
    set_at: int


class PolicyFile(msgspec.Struct, frozen=True):
    """What became of one of the engine's own policy files; see the table ``policy_files``."""

    version: int
    digest: str
    state: str
    stamp: str


class GateReads(Protocol):
    """Look-ups for decisions."""

    def policy_files(self, organization: str, file: str, digest: str, stamp: str) -> Sequence[PolicyFile]:
        """Return what was recorded of a file: the last of all, the last that was loaded, and this very change."""

    def policies(self, organization: str, project: str | None) -> Sequence[StoredPolicy]:
        """Return the present policies of an organization and of one of its projects, in that order."""

    def policy_document(self, organization: str, project: str, version: int) -> str:
        """Return the JSON text of one version of a policy."""

    def stops(self, organization: str, project: str | None) -> Sequence[Stop]:
        """Return everything that is stopped in an organization; ``project`` is the one that is being decided."""

    def approved(
        self, organization: str, author: str, content_hash: str, subjects: Sequence[str], now: int
    ) -> set[str]:
        """Return those of ``subjects`` for which somebody approved exactly this content, and it still holds."""
