"""Many regular expressions over one text, in linear time.

A text is searched for a few patterns at a time, by one automaton that says which of them may occur (RE2's ``Set``);
where they do is asked of each alone. Counted repetitions are not counted there: each count is a state, and those of
several patterns multiply, so that a novel text builds one for nearly every byte. For the same reason not all patterns
are in one automaton. No pattern can backtrack (google-re2, RE2 syntax), so no text can make a search slow.

Texts are ASCII bytes from :func:`metaqore.security.normalise.fold`, so that an offset in bytes is one in characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import re2
from re2 import _re2

_ANYWHERE = _re2.RE2.Anchor.UNANCHORED
#: Patterns in one automaton. With twice as many, the words of the rules in any order take several times as long.
_TOGETHER = 8
#: The same of those whose repetitions are counted.
_COUNTED_TOGETHER = 4
#: Each automaton is built lazily, and anew when it outgrows this; ordinary texts need a tenth of it.
_MAX_AUTOMATON_BYTES = 8 << 20
_OPTIONS = re2.Options()
_OPTIONS.max_mem = _MAX_AUTOMATON_BYTES
_OPTIONS.log_errors = False
_OPTIONS.encoding = re2.Options.Encoding.LATIN1
_COUNTED = re.compile(r"(?<!\\)\{(\d+)(,?)(\d*)\}\??")
#: Up to so many are cheap to count.
_FEW = 3


class Match(NamedTuple):
    """Where one pattern matched."""

    start: int
    end: int
    #: Named groups that took part, decoded.
    groups: dict[str, str]
    text: str


_NONE: dict[str, str] = {}


def occurs(*patterns: str) -> Callable[[bytes], Any]:
    """Return the question which of some RE2 patterns occur in a text, by their numbers."""
    made = re2.Set.SearchSet(_OPTIONS)
    for pattern in patterns:
        made.Add(pattern.encode("ascii"))
    made.Compile()
    # Of the library's wrapper only what it wraps: it is asked for some dozen texts of each payload.
    match: Callable[[bytes], Any] = made._set.Match
    return match


def uncounted(pattern: str) -> str:
    """Return a pattern that occurs wherever an RE2 pattern does, with fewer states: ``a{2,60}`` becomes ``a+``."""

    def loose(count: re.Match[str]) -> str:
        least, most = int(count[1]), int(count[3] or (0 if count[2] else count[1]))
        if 0 < most <= _FEW:
            return count[0]
        return "+" if least else "*"

    return _COUNTED.sub(loose, pattern)


def _groups(names: dict[str, list[str]], size: int) -> Iterator[tuple[Callable[[bytes], Any], list[list[str]]]]:
    """Yield automata for so many questions each, and of each question the names that it is asked for."""
    questions = list(names)
    for start in range(0, len(questions), size):
        group = questions[start : start + size]
        yield occurs(*group), [names[question] for question in group]


class Patterns:
    """A fixed set of named patterns."""

    def __init__(self, patterns: Mapping[str, str], needs: Mapping[str, str] | None = None) -> None:
        """Compile ``patterns``: mapping of name → RE2 pattern (``(?i)`` for any case).

        Args:
            needs: Of some patterns another one that occurs wherever they match, looked for in place of them. Equal
                ones are looked for once.

        Raises:
            ValueError: a pattern is not valid RE2; says which.
        """
        #: As they were given.
        self.patterns = dict(patterns)
        self._searches: dict[str, tuple[Callable[..., list[tuple[int, int]]], tuple[tuple[str, int], ...]]] = {}
        asked: tuple[dict[str, list[str]], dict[str, list[str]]] = {}, {}
        for name, pattern in patterns.items():
            try:
                compiled = re2.compile(pattern.encode("ascii"), _OPTIONS)
            except re2.error as error:
                raise ValueError(f"pattern {name!r} is not valid RE2: {error}") from error
            # The library's own iterator costs several times what a search in a short text does.
            named = tuple((group.decode(), number) for group, number in compiled.groupindex.items())
            self._searches[name] = (compiled._regexp.Match, named)
            need = (needs or {}).get(name)
            asked[bool(need)].setdefault(need or uncounted(pattern), []).append(name)
        self._groups = [*_groups(asked[False], _TOGETHER), *_groups(asked[True], _COUNTED_TOGETHER)]

    def suspected(self, data: bytes) -> list[str]:
        """Return the names of the patterns that may occur in ``data``: of all that do, and of few others."""
        return [name for which, names in self._groups for number in which(data) for name in names[number]]

    def present(self, data: bytes) -> dict[str, Match]:
        """Return the patterns that occur in ``data``: name → the first match."""
        firsts = ((name, next(self.find(name, data), None)) for name in self.suspected(data))
        return {name: match for name, match in firsts if match}

    def find(self, name: str, data: bytes, start: int = 0) -> Iterator[Match]:
        """Yield the non-overlapping matches of one pattern from ``start`` on, leftmost first."""
        search, named = self._searches[name]
        last, groups = len(data), _NONE
        while start <= last:
            spans = search(_ANYWHERE, data, start, last)
            begin, end = spans[0]
            if begin < 0:
                return
            if named:
                groups = {key: data[slice(*spans[n])].decode() for key, n in named if spans[n][0] >= 0}
            yield Match(begin, end, groups, data[begin:end].decode())
            # An empty match must not be found again.
            start = end if end > start else start + 1
