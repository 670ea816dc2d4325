"""What PSMP needs to look up. Every look-up is by index and takes many keys at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from metaqore.psmp.holdings import HoldingReads
from metaqore.psmp.model import Head, Project

#: (project, type, name)
Identity = tuple[str, str, str]


class PsmpReads(HoldingReads, Protocol):
    """Look-ups inside the deciding transaction."""

    def projects(self, ids: Collection[str]) -> Mapping[str, Project]:
        """Return the projects that exist, by id."""

    def heads(self, identities: Collection[Identity], ids: Collection[str]) -> Sequence[Head]:
        """Return the artifacts that exist under these identities or ids."""

    def movers(self, artifact: str, after: int) -> list[str]:
        """Return who made the versions after ``after``, one for each version."""

    def content(self, artifact: str, version: int) -> Any:
        """Return the content of a version, decoded.

        Raises:
            NotFound: no such version.
        """

    def body(self, artifact: str, version: int) -> dict[str, Any]:
        """Return what a version keeps beside its content.

        Raises:
            NotFound: no such version.
        """

    def down(self, artifacts: Collection[str]) -> Iterable[tuple[str, str, int]]:
        """Return (artifact, dependency, rank of the dependency)."""

    def up(self, artifacts: Collection[str]) -> Iterable[tuple[str, str, int]]:
        """Return (artifact, dependant, rank of the dependant)."""

    def conflict(self, organization: str, conflict: str) -> Mapping[str, Any] | None:
        """Return a conflict with its proposal and the payload of the blocked request."""

    def open_conflicts(self, proposal: str) -> list[str]:
        """Return the ids of the unresolved conflicts of a proposal."""

    def project_row(self, organization: str, project: str) -> Mapping[str, Any] | None:
        """Return a whole project."""

    def task_row(self, organization: str, task: str) -> Mapping[str, Any] | None:
        """Return a whole task."""

    def content_text(self, artifact: str, version: int) -> str:
        """Return the content of a version as it is stored, as JSON text.

        Raises:
            NotFound: no such version.
        """

    def aliases(self, artifact: str) -> Mapping[str, int]:
        """Return the aliases of an artifact that were set, with their versions."""

    def heads_after(self, organization: str, after: str, limit: int) -> Sequence[tuple[Head, int]]:
        """Return up to ``limit`` artifacts of an organization by rising id, each with when it was last changed."""

    def answered_by(self, organization: str, provider: str, calls: Sequence[str]) -> set[str]:
        """Return those of ``calls`` (ids of model calls, or of their requests) that a provider was asked."""

    def turns(self, conversations: Collection[tuple[str, str]]) -> Iterable[tuple[str, str, str, int]]:
        """Return (project, conversation, principal, turns) of conversations given as (project, conversation)."""

    def count_blocked(self, project: str, at_most: int) -> int:
        """Return how many blocked proposals a project keeps, counted up to ``at_most``."""

    def task_states(self, project: str, ids: Collection[str]) -> Mapping[str, str]:
        """Return the states of those of ``ids`` that are tasks of the project."""

    def task_not_in(self, project: str, states: Collection[str]) -> str | None:
        """Return a task of the project that is in none of ``states``; None where there is none."""

    def open_conflict(self, project: str, artifact: str | None = None) -> str | None:
        """Return an unresolved conflict of a project, or of one artifact of it; None where there is none."""

    def tasks_exist(self, project: str, ids: Collection[str]) -> set[str]:
        """Return those of ``ids`` that are tasks of the project."""
