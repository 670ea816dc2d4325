"""What the gateway needs from outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from metaqore.llm.model import Completion, GenerateCommand, ProviderError


class Provider(Protocol):
    """Something that answers prompts. Safe to call from several threads."""

    @property
    def name(self) -> str:
        """The name it is configured under."""

    def complete(self, batch: Sequence[GenerateCommand]) -> list[Completion | ProviderError]:
        """Return one answer or error for each command, in order.

        Every command has its ``model`` set (see ``rules.routed``). What goes wrong with one command is returned in
        its place and never raised, so one failing call cannot lose the others. Calls are tried once: trying again is
        the request's business.
        """
