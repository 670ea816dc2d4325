"""Many regular expressions over one text, in linear time.

A text is taken some lines at a time. One small automaton over the literals that the patterns cannot do without (RE2's
``Filter``) says which of them may occur there at all; only those are searched, each with its own automaton. Patterns
joined in one automaton (``Set``) would multiply each other's states: a novel text then builds a state for nearly every
byte. No pattern can backtrack (google-re2, RE2 syntax), so no text can make a search slow.

Texts are ASCII bytes from :func:`metaqore.security.normalise.fold`, so that an offset in bytes is one in characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import re2

#: With fewer patterns, asking which may occur takes longer than looking.
_FEW = 3
#: Bytes of the shortest stretch of lines that is searched alone.
_BLOCK = 400
_NEGATED = re.compile(r"\[\^(?:\\.|[^\]\\])*\]")
_BREAK = re.compile(r"\\[ns]")
_CROSSING = re.compile(r"\\[snWDzA]|(?<!\\)[$^]|\(\?[a-z]*s")
#: Each automaton is built lazily, and anew when it outgrows this; ordinary texts need a tenth of it.
_MAX_AUTOMATON_BYTES = 8 << 20


class Match(NamedTuple):
    """Where one pattern matched."""

    start: int
    end: int
    #: Named groups that took part, decoded.
    groups: dict[str, str]
    text: str


class Patterns:
    """A fixed set of named patterns."""

    def __init__(
        self, patterns: Mapping[str, str], needs: Mapping[str, str] | None = None,
        one_of: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Compile ``patterns``: mapping of name → RE2 pattern (``(?i)`` for any case).

        Args:
            needs: Of some patterns that have no literals to go by, a small one that occurs wherever they match. Equal
                ones are looked for once.
            one_of: Of some patterns, ASCII characters one of which is in every match: the cheapest question of all.

        Raises:
            ValueError: a pattern is not valid RE2; says which.
        """
        self._options = re2.Options()
        self._options.max_mem = _MAX_AUTOMATON_BYTES
        self._options.log_errors = False
        self._options.encoding = re2.Options.Encoding.LATIN1
        self._each: dict[str, Any] = {}
        self._occurs: dict[str, Callable[[bytes], Any]] = {}
        for name, pattern in patterns.items():
            try:
                self._each[name] = re2.compile(pattern.encode("ascii"), self._options)
            except re2.error as error:
                raise ValueError(f"pattern {name!r} is not valid RE2: {error}") from error
            self._occurs[name] = self._alone(pattern)
        self._needs = dict(needs or {})
        self._one_of = {name: chars.encode("ascii") for name, chars in (one_of or {}).items()}
        self._chars = frozenset(self._one_of.values())
        self._signs = {sign: self._alone(sign) for sign in set(self._needs.values())}
        within = {name: pattern for name, pattern in patterns.items() if not crosses_lines(pattern)}
        self._within = self._literals(within)
        self._across = self._literals({name: patterns[name] for name in patterns.keys() - within.keys()})

    def _alone(self, pattern: str) -> Callable[[bytes], Any]:
        """Return the question whether a pattern occurs; a set of one answers it without looking for where."""
        made = re2.Set.SearchSet(self._options)
        made.Add(pattern.encode("ascii"))
        made.Compile()
        match: Callable[[bytes], Any] = made.Match
        return match

    def _literals(self, patterns: Mapping[str, str]) -> Callable[[bytes], Sequence[str]]:
        """Return the question which patterns' literals occur."""
        names = tuple(sorted(patterns))
        if len(names) <= _FEW:
            return lambda _data: names
        made = re2.Filter()
        for name in names:
            made.Add(patterns[name].encode("ascii"), self._options)
        made.Compile()
        match = made.Match
        # The literals are kept in lower case.
        return lambda data: [names[index] for index in match(data.lower(), True) or ()]

    def present(self, data: bytes) -> set[str]:
        """Return the names of the patterns that occur in ``data``."""
        occurs = self._occurs
        found = {name for name in self._needed(self._across(data), data) if occurs[name](data)}
        for start, end in _blocks(data):
            block = data[start:end]
            names = self._needed(self._within(block), block)
            found.update([name for name in names if name not in found and occurs[name](block)])
        return found

    def _needed(self, names: Sequence[str], data: bytes) -> Sequence[str]:
        """Return those of some patterns of which the need is there, too."""
        if self._chars:
            missing = {chars for chars in self._chars if not any(char in data for char in chars)}
            if missing:
                names = [name for name in names if self._one_of.get(name) not in missing]
        if not self._needs:
            return names
        needs = self._needs
        absent = {sign for sign in set(map(needs.get, names)) if sign and not self._signs[sign](data)}
        return [name for name in names if needs.get(name) not in absent] if absent else names

    def spots(self, data: bytes) -> dict[str, list[tuple[int, int]]]:
        """Return the names of the patterns that occur, each with the only stretches in which they do."""
        found = {name: [(0, len(data))] for name in self._needed(self._across(data), data)}
        for start, end in _blocks(data):
            block = data[start:end]
            for name in self._needed(self._within(block), block):
                stretches = found.setdefault(name, [])
                # Neighbours are searched at one go.
                if stretches and stretches[-1][1] == start - 1:
                    stretches[-1] = (stretches[-1][0], end)
                else:
                    stretches.append((start, end))
        occurs = self._occurs
        kept = {name: [(a, b) for a, b in found[name] if occurs[name](data[a:b])] for name in found}
        return {name: stretches for name, stretches in kept.items() if stretches}

    def find(self, name: str, data: bytes, start: int = 0, end: int | None = None) -> Iterator[Match]:
        """Yield the non-overlapping matches of one pattern, leftmost first.

        Args:
            start: Of the stretch of ``data`` that is searched; a beginning of a line.
            end: Of the stretch; an end of a line.
        """
        pattern = self._each[name]
        named = bool(pattern.groups)
        for match in pattern.finditer(data, start, len(data) if end is None else end):
            begin, stop = match.span()
            groups = match.groupdict().items() if named else ()
            kept = {key.decode(): value.decode() for key, value in groups if value is not None}
            yield Match(begin, stop, kept, data[begin:stop].decode())

    def all(self, data: bytes) -> Iterator[tuple[str, Match]]:
        """Yield (name, match) for every pattern that occurs, by name."""
        for name in sorted(self.present(data)):
            for match in self.find(name, data):
                yield name, match


def crosses_lines(pattern: str) -> bool:
    """Return whether a pattern may match a line break, or asks where the text ends."""
    rest = _NEGATED.sub(lambda part: "" if _BREAK.search(part[0]) else r"\n", pattern)
    return bool(_CROSSING.search(rest))


def _blocks(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the stretches of some whole lines that make up a text."""
    start = 0
    while len(data) - start > 2 * _BLOCK and (end := data.find(b"\n", start + _BLOCK)) >= 0:
        yield start, end
        start = end + 1
    yield start, len(data)
