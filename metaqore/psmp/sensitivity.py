"""What PSMP asks somebody else about a content: does it hold something that raises its label?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from metaqore.messages import AuditNote, Request, Write


class Looked(Protocol):
    """What a content holds that raises its label."""

    @property
    def label(self) -> str:
        """The least label of a version with it."""

    @property
    def types(self) -> list[str]:
        """What was found, each once; never the values."""

    def beyond(self, before: Any) -> Looked | None:
        """Return what does not stand in another content already; None for nothing."""

    def recorded(self, request: Request, artifact: str, label: str, now: int) -> tuple[Write, AuditNote]:
        """Return the decision by which an artifact got ``label``, and its audit entry."""


#: (content, its JSON text, declared label or None) → what it holds, or None; pure.
Look = Callable[[Any, str, str | None], Looked | None]
