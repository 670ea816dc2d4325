"""What HMCP needs from outside: somebody who attacks a candidate before the world does, and what was recorded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from metaqore.hmcp.artefact import Artefact
from metaqore.hmcp.model import TaskEvent


class Adversary(Protocol):
    """Texts that no specialist should answer. The same seed gives the same texts."""

    def hostile(self, count: int, seed: int) -> Sequence[tuple[str, str]]:
        """Return (family/scenario, text): texts that attack the model which reads them."""

    def foreign(self, count: int, seed: int) -> Sequence[str]:
        """Return texts of other subjects than any task's; fewer than ``count`` where there are not more."""


class Source(Protocol):
    """What was recorded, read outside of any transaction."""

    def events(self, organization: str, since: int, limit: int) -> list[TaskEvent]:
        """Return the latest recorded calls since ``since`` (ms), oldest first."""

    def patterns(self, organization: str) -> Mapping[str, Mapping[str, Any]]:
        """Return signature key → row of every known pattern."""

    def champion(self, pattern: str) -> tuple[int, Artefact | None]:
        """Return the highest version of a pattern's specialists, and the active one's artefact."""

    def live(self, pattern: str) -> Sequence[Mapping[str, Any]]:
        """Return id, version and state of a pattern's specialists that are active or proposed."""


class Shelf(Protocol):
    """The specialists there are, read outside of any transaction."""

    def on_duty(self, organizations: Collection[str]) -> Sequence[Mapping[str, Any]]:
        """Return the active and proposed specialists of organizations: id, organization, pattern, version, state,
        digest (None where it is not known), created_at, and ``seen``, how often each was compared with its teacher.
        """

    def artefact(self, specialist: str) -> Artefact | None:
        """Return what is stored of a specialist; None where its weights are gone."""


class Question(Protocol):
    """A model call that a specialist might answer."""

    @property
    def request_id(self) -> str:
        """Whose it is."""

    @property
    def organization(self) -> str:
        """Where it is asked."""

    @property
    def project(self) -> str | None:
        """And in which project, if any."""

    @property
    def template(self) -> str | None:
        """Key of the template, None where the caller made the prompt."""

    @property
    def prompt(self) -> str:
        """The whole prompt as one text."""
