"""What the gate needs from outside: somebody who attacks a candidate before the world does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Adversary(Protocol):
    """Texts that no specialist should answer. The same seed gives the same texts."""

    def hostile(self, count: int, seed: int) -> Sequence[tuple[str, str]]:
        """Return (scenario, text): texts that attack the model which reads them."""

    def foreign(self, count: int, seed: int) -> Sequence[str]:
        """Return texts of other subjects than any task's; fewer than ``count`` where there are not more."""
