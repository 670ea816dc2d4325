"""Several texts as one, so that many patterns are searched once and not once per text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate

from metaqore.security.normalise import OTHER_LETTER

#: No rule matches across it, and it is longer than what a judge looks at around a match.
_SEPARATOR = f"\n{OTHER_LETTER}" * 80 + "\n"


class Joined:
    """Folded texts, one after another in ``text``."""

    def __init__(self, texts: Iterable[str]) -> None:
        parts = list(texts)
        self.text = _SEPARATOR.join(parts)
        self._starts = list(accumulate((len(part) + len(_SEPARATOR) for part in parts[:-1]), initial=0))

    def origin(self, offset: int) -> tuple[int, int]:
        """Return which of the texts an offset in ``text`` lies in, and where that one starts."""
        index = bisect_right(self._starts, offset) - 1
        return index, self._starts[index]
