"""Many regular expressions over one text, in linear time.

A text is searched for a few patterns at a time, by one automaton that says which of them occur (RE2's ``Set``); where
the others do is asked of each alone. All in one automaton would multiply each other's states: a novel text then builds
a state for nearly every byte. No pattern can backtrack (google-re2, RE2 syntax), so no text can make a search slow.

Texts are ASCII bytes from :func:`metaqore.security.normalise.fold`, so that an offset in bytes is one in characters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import re2
from re2 import _re2

_ANYWHERE = _re2.RE2.Anchor.UNANCHORED
#: Patterns in one automaton. Of twice as many, the words of the rules in any order take twice as long.
_TOGETHER = 4
#: Each automaton is built lazily, and anew when it outgrows this; ordinary texts need a tenth of it.
_MAX_AUTOMATON_BYTES = 8 << 20
_OPTIONS = re2.Options()
_OPTIONS.max_mem = _MAX_AUTOMATON_BYTES
_OPTIONS.log_errors = False
_OPTIONS.encoding = re2.Options.Encoding.LATIN1


class Match(NamedTuple):
    """Where one pattern matched."""

    start: int
    end: int
    #: Named groups that took part, decoded.
    groups: dict[str, str]
    text: str


def occurs(*patterns: str) -> Callable[[bytes], Any]:
    """Return the question which of some RE2 patterns occur in a text, by their numbers; None for none of them."""
    made = re2.Set.SearchSet(_OPTIONS)
    for pattern in patterns:
        made.Add(pattern.encode("ascii"))
    made.Compile()
    match: Callable[[bytes], Any] = made.Match
    return match


class Patterns:
    """A fixed set of named patterns."""

    def __init__(self, patterns: Mapping[str, str], needs: Mapping[str, str] | None = None) -> None:
        """Compile ``patterns``: mapping of name → RE2 pattern (``(?i)`` for any case).

        Args:
            needs: Of some patterns with many states a small one that occurs wherever they match: it is looked for
                first. Equal ones are looked for once.

        Raises:
            ValueError: a pattern is not valid RE2; says which.
        """
        #: As they were given.
        self.patterns = dict(patterns)
        self._searches: dict[str, tuple[Callable[..., list[tuple[int, int]]], tuple[tuple[str, int], ...]]] = {}
        asked: dict[str, list[str]] = {}
        for name, pattern in patterns.items():
            try:
                compiled = re2.compile(pattern.encode("ascii"), _OPTIONS)
            except re2.error as error:
                raise ValueError(f"pattern {name!r} is not valid RE2: {error}") from error
            # The library's own iterator costs several times what a search in a short text does.
            named = tuple((group.decode(), number - 1) for group, number in compiled.groupindex.items())
            self._searches[name] = (compiled._regexp.Match, named)
            asked.setdefault((needs or {}).get(name, pattern), []).append(name)
        questions = list(asked)
        together = [questions[n : n + _TOGETHER] for n in range(0, len(questions), _TOGETHER)]
        self._groups = [(occurs(*group), [asked[question] for question in group]) for group in together]
        self._unsure = {name: occurs(patterns[name]) for name in needs or ()}

    def suspected(self, data: bytes) -> list[str]:
        """Return the names of the patterns that occur in ``data``, and of those of which the need does."""
        return [name for which, names in self._groups for number in which(data) or () for name in names[number]]

    def present(self, data: bytes) -> set[str]:
        """Return the names of the patterns that occur in ``data``."""
        unsure = self._unsure
        return {name for name in self.suspected(data) if name not in unsure or unsure[name](data)}

    def find(self, name: str, data: bytes) -> Iterator[Match]:
        """Yield the non-overlapping matches of one pattern, leftmost first."""
        search, named = self._searches[name]
        start, last = 0, len(data)
        while start <= last:
            (begin, end), *spans = search(_ANYWHERE, data, start, last)
            if begin < 0:
                return
            groups = {key: data[slice(*spans[n])].decode() for key, n in named if spans[n][0] >= 0} if named else {}
            yield Match(begin, end, groups, data[begin:end].decode())
            # An empty match must not be found again.
            start = end if end > start else start + 1
