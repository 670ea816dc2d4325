"""Version ranges of npm: semantic versions and the range grammar of node-semver.

A range is alternatives joined by ``||``; each is a set of comparators that must all hold. ``^``, ``~``,
x-ranges and hyphen ranges are read as such sets. A pre-release satisfies a set only where a comparator of
that set names a pre-release of the same major, minor and patch.

Sources: Semantic Versioning 2.0.0, section 11 (precedence); the node-semver README, "Ranges" and
"Prerelease Tags".
"""

from __future__ import annotations

import itertools
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

_MOST = 2**53 - 1  # the greatest number that node-semver takes
_NUMBER = r"0|[1-9][0-9]*"
_PART = rf"{_NUMBER}|[xX*]"
_PRE_PART = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_TAIL = rf"(?:-({_PRE_PART}(?:\.{_PRE_PART})*))?"
_BUILD = r"\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_PARTIAL = rf"([v=]*)({_PART})(?:\.({_PART})(?:\.({_PART}){_TAIL})?)?"
_VERSION = re.compile(rf"[v=]*({_NUMBER})\.({_NUMBER})\.({_NUMBER}){_TAIL}(?:{_BUILD})?")
_SIMPLE = re.compile(rf"(\^|~>?|[<>]=?|=|)({_PARTIAL})")
_HYPHEN = re.compile(rf"({_PARTIAL}) - ({_PARTIAL})")
_SPACE_AFTER_OPERATOR = re.compile(r"(\^|~>?|[<>]=?|=) +")
_EXAMPLES = "write one as in ^1.2.3, >=1.2 <3 or 1.x"
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}


@dataclass(frozen=True)
class Version:
    """A semantic version; build metadata is left out, as it has no part in precedence."""

    major: int
    minor: int
    patch: int
    #: The dot-separated identifiers of the pre-release, digits as integers; empty for a release.
    pre: tuple[int | str, ...] = ()

    @cached_property
    def precedence(self) -> tuple[object, ...]:
        """A key that sorts as section 11 says: numbers before words, a pre-release before its release."""
        parts = tuple((1, 0, part) if isinstance(part, str) else (0, part, "") for part in self.pre)
        return self.major, self.minor, self.patch, not self.pre, parts

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Major, minor and patch."""
        return self.major, self.minor, self.patch

    def __str__(self) -> str:
        numbers = f"{self.major}.{self.minor}.{self.patch}"
        return f"{numbers}-{'.'.join(map(str, self.pre))}" if self.pre else numbers


@dataclass(frozen=True)
class Comparator:
    """One bound: ``operator`` is one of ``<  <=  >  >=  =``."""

    operator: str
    version: Version

    def accepts(self, version: Version) -> bool:
        """Return whether the version is within the bound, whatever is said of pre-releases."""
        return _COMPARE[self.operator](version.precedence, self.version.precedence)


@dataclass(frozen=True)
class Range:
    """Alternatives, each a set of comparators; an empty set takes every release."""

    alternatives: tuple[tuple[Comparator, ...], ...]

    def accepts(self, version: Version) -> bool:
        """Return whether the version satisfies one of the alternatives."""
        return any(_satisfies(version, comparators) for comparators in self.alternatives)


def _satisfies(version: Version, comparators: tuple[Comparator, ...]) -> bool:
    if not all(comparator.accepts(version) for comparator in comparators):
        return False
    return not version.pre or any(
        comparator.version.pre and comparator.version.numbers == version.numbers for comparator in comparators
    )


def parse_version(text: str) -> Version:
    """Read a semantic version.

    Raises:
        ValueError: it is none.
    """
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a semantic version: write three numbers, as in 1.2.3 or 1.2.3-beta.1")
    return _version([int(number) for number in match.group(1, 2, 3)], match[4])


def parse_range(text: str) -> Range:
    """Read a version range.

    Raises:
        ValueError: it is none. Tags ("latest"), URLs and paths are no ranges.
    """
    alternatives = [_comparators(" ".join(part.split())) for part in re.sub(_BUILD, "", text).split("||")]
    # node-semver reads "*" beside other alternatives as "*" alone, so that it lets no pre-release in.
    return Range(((),) if () in alternatives else tuple(alternatives))


def candidates(ranges: Iterable[Range]) -> list[Version]:
    """Return versions of which one satisfies all ranges, if any version does; those to be liked best first.

    Every non-empty intersection of bounds has a least version, and it is one of these: the least of all
    versions; for each version named, itself and the next one; its release and the one after it; and for
    pre-releases, the first one of its release.
    """
    named = {
        comparator.version
        for alternatives in ranges
        for comparators in alternatives.alternatives
        for comparator in comparators
    }
    ranks = {Version(0, 0, 0): 0}
    for version in named:
        major, minor, patch = version.numbers
        release = Version(major, minor, patch)
        ranks |= {version: 2 if version.pre else 0, release: 0}
        after = [(major, minor, patch + 1), (major, minor + 1, 0), (major + 1, 0, 0)]
        likely = [Version(*numbers) for numbers in after if max(numbers) <= _MOST]
        if version.pre:
            likely += [replace(release, pre=(*version.pre, 0)), replace(release, pre=(0,))]
        for candidate in likely:
            ranks.setdefault(candidate, 3 if candidate.pre else 1)
    return sorted(ranks, key=lambda version: (ranks[version], version.precedence))


def _version(numbers: list[int], pre: str | None = None) -> Version:
    """Return the version that begins with one to three numbers, zero for the rest."""
    if max(numbers) > _MOST:
        raise ValueError(f"the version number {max(numbers)} is too great: at most {_MOST}")
    major, minor, patch = [*numbers, 0, 0][:3]
    parts = pre.split(".") if pre else ()
    return Version(major, minor, patch, tuple(int(part) if part.isdecimal() else part for part in parts))


def _comparators(text: str) -> tuple[Comparator, ...]:
    """Read one alternative: a hyphen range, or simple ranges with spaces between."""
    hyphen = _HYPHEN.fullmatch(text)
    if hyphen:
        lower, upper = hyphen[1], hyphen[7]
        found = [*_simple(">=", lower, hyphen=True), *_simple("<=", upper, hyphen=True)]
    else:
        found = []
        for word in _SPACE_AFTER_OPERATOR.sub(r"\1", text).split():
            match = _SIMPLE.fullmatch(word)
            if match is None:
                raise ValueError(f"{word!r} is not a version range: {_EXAMPLES}")
            found += _simple(match[1], match[2])
    # Every release is at least 0.0.0: no bound at all.
    return tuple(each for each in found if each != Comparator(">=", Version(0, 0, 0)))


def _simple(sign: str, partial: str, *, hyphen: bool = False) -> list[Comparator]:
    """Read an operator and a version of which parts may be left open as one or two bounds."""
    match = re.fullmatch(_PARTIAL, partial)
    assert match is not None
    parts = [part for part in match.group(2, 3, 4) if part]
    numbers = [int(part) for part in itertools.takewhile(str.isdecimal, parts)]
    if sign not in ("^", "~", "~>"):
        twice_signed = len(numbers) == 3 and match[1] not in ("", "v")
        if twice_signed or (not hyphen and any(map(str.isdecimal, parts[len(numbers) :]))):
            raise ValueError(f"{sign + partial!r} is not a version range: {_EXAMPLES}")
    if not numbers:
        return [Comparator("<", Version(0, 0, 0, (0,)))] if sign in ("<", ">") else []
    low = _version(numbers, match[5] if len(numbers) == 3 else None)
    if sign == "^":
        # Up to the next change of the leftmost number that is not zero.
        at = next((i for i, number in enumerate(numbers) if number), len(numbers) - 1)
        return [Comparator(">=", low), _below_next(numbers[: at + 1])]
    if sign in ("~", "~>"):
        return [Comparator(">=", low), _below_next(numbers[:2])]
    if len(numbers) == 3:
        return [Comparator(sign or "=", low)]
    if sign in ("", "="):
        return [Comparator(">=", low), _below_next(numbers)]
    if sign == ">":
        return [Comparator(">=", _next(numbers))]
    if sign == "<=":
        return [_below_next(numbers)]
    return [Comparator(sign, Version(*low.numbers, (0,)) if sign == "<" else low)]


def _next(numbers: list[int]) -> Version:
    """Return the first release after all that begin with the numbers."""
    return _version([*numbers[:-1], numbers[-1] + 1])


def _below_next(numbers: list[int]) -> Comparator:
    """Return the bound below all releases, and their pre-releases, after those that begin with the numbers."""
    return Comparator("<", Version(*_next(numbers).numbers, (0,)))
