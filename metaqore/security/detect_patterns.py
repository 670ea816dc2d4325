"""Many regular expressions over one text, in linear time.

RE2 runs a dozen patterns as one automaton (``Set``), a few µs per kB, and tells which of them occur at all; only those
are then searched one by one. No pattern can backtrack (google-re2, RE2 syntax), so no text can make a search slow.

Texts are ASCII bytes from :func:`metaqore.security.normalise.fold`, so that an offset in bytes is one in characters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import re2

#: Patterns per automaton. One for all has so many states that a hostile mix of their words thrashes its cache.
_PER_AUTOMATON = 12
#: An automaton is built lazily, and anew when it outgrows this. RE2's default (8 MiB) is too small for a dozen.
_MAX_AUTOMATON_BYTES = 24 << 20


class Match(NamedTuple):
    """Where one pattern matched."""

    start: int
    end: int
    #: Named groups that took part, decoded.
    groups: dict[str, str]
    text: str


class Patterns:
    """A fixed set of named patterns."""

    def __init__(self, patterns: Mapping[str, str]) -> None:
        """Compile ``patterns``: mapping of name → RE2 pattern (``(?i)`` for any case).

        Raises:
            ValueError: a pattern is not valid RE2; says which.
        """
        options = re2.Options()
        options.max_mem = _MAX_AUTOMATON_BYTES
        options.log_errors = False
        options.encoding = re2.Options.Encoding.LATIN1
        self._names = tuple(patterns)
        self._each: dict[str, Any] = {}
        for name, pattern in patterns.items():
            try:
                self._each[name] = re2.compile(pattern.encode("ascii"), options)
            except re2.error as error:
                raise ValueError(f"pattern {name!r} is not valid RE2: {error}") from error
        count = -(-len(patterns) // _PER_AUTOMATON)
        # Dealt out like cards: neighbours are often alike, and like patterns multiply each other's states.
        self._sets = [
            (self._names[i::count], self._set(patterns, self._names[i::count], options)) for i in range(count)
        ]

    @staticmethod
    def _set(patterns: Mapping[str, str], names: tuple[str, ...], options: Any) -> Any:
        made = re2.Set.SearchSet(options)
        for name in names:
            made.Add(patterns[name].encode("ascii"))
        made.Compile()
        return made

    def present(self, data: bytes) -> set[str]:
        """Return the names of the patterns that occur in ``data``."""
        return {names[index] for names, automaton in self._sets for index in automaton.Match(data) or ()}

    def find(self, name: str, data: bytes) -> Iterator[Match]:
        """Yield the non-overlapping matches of one pattern, leftmost first."""
        pattern = self._each[name]
        named = bool(pattern.groupindex)
        for match in pattern.finditer(data):
            start, end = match.span()
            groups = match.groupdict().items() if named else ()
            kept = {key.decode(): value.decode() for key, value in groups if value is not None}
            yield Match(start, end, kept, data[start:end].decode())

    def count(self, name: str, data: bytes, at_most: int) -> int:
        """Return how often a pattern occurs, stopping at ``at_most``."""
        total = 0
        for _ in self._each[name].finditer(data):
            total += 1
            if total >= at_most:
                break
        return total

    def all(self, data: bytes) -> Iterator[tuple[str, Match]]:
        """Yield (name, match) for every pattern that occurs, by name."""
        for name in sorted(self.present(data)):
            for match in self.find(name, data):
                yield name, match
