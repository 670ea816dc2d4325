"""What the gateway needs from outside."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

import msgspec

from metaqore.llm.model import Completion, GenerateCommand, ProviderError

#: Asked with a call's place in its batch: whether it may leave, or may be waited for any longer.
GoOn = Callable[[int], bool]


class Provider(Protocol):
    """Something that answers prompts. Safe to call from several threads."""

    @property
    def name(self) -> str:
        """The name it is configured under."""

    def complete(self, batch: Sequence[GenerateCommand], go_on: GoOn | None = None) -> list[Completion | ProviderError]:
        """Return one answer or error for each command, in order.

        Args:
            go_on: asked right before a call leaves, and several times in a second while it is out. Where it says no,
                the call does not leave, or its connection is cut, and ``ProviderUnavailable`` (``stopped``) is
                returned in its place.

        Every command has its ``model`` set (see ``rules.routed``). What goes wrong with one command is returned in
        its place and never raised, so one failing call cannot lose the others. Calls are tried once: trying again is
        the request's business.
        """


class Question(msgspec.Struct, frozen=True):
    """A call that a specialist might answer."""

    request_id: str
    organization: str
    project: str | None
    template: str | None
    prompt: str


class Sight(Protocol):
    """What one specialist says to one call. See ``metaqore.hmcp.routing.Sight``."""

    @property
    def specialist(self) -> str:
        """Its id."""

    @property
    def version(self) -> int:
        """Its version."""

    @property
    def pattern(self) -> str:
        """The pattern that it was trained for."""

    @property
    def answer(self) -> str:
        """What it would answer."""

    @property
    def confidence(self) -> float:
        """0 to 1."""

    @property
    def routed(self) -> bool:
        """Whether it would answer: inside its domain, and as confident as its certificate asks for."""

    @property
    def certificate(self) -> Any:
        """``threshold``, ``alpha``, ``delta``, ``routed``, ``errors``."""

    @property
    def sensitivity(self) -> str:
        """Highest label among what it learnt from."""

    @property
    def labels(self) -> Collection[str]:
        """The labels of calls that it may answer."""

    @property
    def serves(self) -> bool:
        """Whether it may answer in its teacher's place; else it is only compared."""

    @property
    def audited(self) -> bool:
        """Whether its teacher has to answer this call too."""

    @property
    def due(self) -> bool:
        """Whether it should be reviewed after this call."""


class Specialists(Protocol):
    """The specialists there are."""

    def look(self, questions: Sequence[Question]) -> Sequence[Sequence[Sight]]:
        """Return for each call what specialists say to it. Outside of any transaction; all calls at once."""

    def agrees(self, said: str, answer: str) -> bool:
        """Return whether a provider's words mean a specialist's answer."""
