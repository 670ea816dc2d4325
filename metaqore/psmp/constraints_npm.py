"""Version ranges of npm: semantic versions and the range grammar of node-semver.

A range is alternatives joined by ``||``; each is a set of comparators that must all hold. ``^``, ``~``,
x-ranges and hyphen ranges are read as such sets. A pre-release satisfies a set only where a comparator of
that set names a pre-release of the same major, minor and patch.

Sources: Semantic Versioning 2.0.0, section 11 (precedence); the node-semver README, "Ranges" and
"Prerelease Tags".
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import or_

from metaqore.psmp.constraints_line import VersionLine, bits_between

_MOST = 2**53 - 1  # the greatest number that node-semver takes
_NUMBER = r"0|[1-9][0-9]*"
_PART = rf"{_NUMBER}|[xX*]"
_PRE_PART = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_TAIL = rf"(?:-({_PRE_PART}(?:\.{_PRE_PART})*))?"
_BUILD = r"\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_PARTIAL = rf"([v=]*)({_PART})(?:\.({_PART})(?:\.({_PART}){_TAIL})?)?"
_SIMPLE = re.compile(rf"(\^|~>?|[<>]=?|=|)({_PARTIAL})")
_HYPHEN = re.compile(rf"({_PARTIAL}) - ({_PARTIAL})")
# One "=" with spaces on both sides belongs to no operator.
_SPACE_AFTER_OPERATOR = re.compile(r"(\^|~>?|[<>]=?|=) +(?!=+ )")
_EXAMPLES = "write one as in ^1.2.3, >=1.2 <3 or 1.x"


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


@dataclass(frozen=True)
class Range:
    """Alternatives, each a set of comparators; an empty set takes every release."""

    alternatives: tuple[tuple[Comparator, ...], ...]


def parse_range(text: str) -> Range:
    """Read a version range.

    Raises:
        ValueError: it is none. Tags ("latest"), URLs and paths are no ranges.
    """
    alternatives = [_comparators(" ".join(part.split())) for part in re.sub(_BUILD, "", text).split("||")]
    # node-semver reads "*" beside other alternatives as "*" alone, so that it lets no pre-release in.
    return Range(((),) if () in alternatives else tuple(alternatives))


def version_line(ranges: Sequence[Range]) -> VersionLine:
    """Put all versions that matter to the ranges in a line, and say which of them each range accepts.

    Every non-empty intersection of bounds has a least version, and it is one of these: the least of all
    releases; for each version named, itself and the next one; its release and the one after it; and for
    pre-releases, the first one of its release.
    """
    named = dict.fromkeys(
        comparator.version for each in ranges for comparators in each.alternatives for comparator in comparators
    )
    ranks = {Version(0, 0, 0): 0}
    for version in named:
        for rank, start in _starts(version):
            ranks[start] = min(rank, ranks.get(start, rank))
    versions = sorted(ranks, key=lambda version: version.precedence)
    keys = [version.precedence for version in versions]
    places: dict[tuple[int, int, int] | None, int] = defaultdict(int)
    for at, version in enumerate(versions):
        places[version.numbers if version.pre else None] |= 1 << at
    return VersionLine(
        versions=versions,
        preference=sorted(range(len(versions)), key=lambda at: (ranks[versions[at]], at)),
        accepted=[
            reduce(or_, (_accepted(comparators, keys, places) for comparators in each.alternatives)) for each in ranges
        ],
    )


def _accepted(
    comparators: Iterable[Comparator],
    keys: Sequence[tuple[object, ...]],
    places: Mapping[tuple[int, int, int] | None, int],
) -> int:
    """Return which versions satisfy a set of comparators.

    Args:
        comparators: the set.
        keys: the precedence of all versions, in order.
        places: the versions that are pre-releases of these numbers; under None, all releases.
    """
    within, allowed = (1 << len(keys)) - 1, places[None]
    for comparator in comparators:
        start = bisect_left(keys, comparator.version.precedence)
        end = bisect_right(keys, comparator.version.precedence)
        within &= {
            "<": bits_between(0, start),
            "<=": bits_between(0, end),
            ">": bits_between(end, len(keys)),
            ">=": bits_between(start, len(keys)),
            "=": bits_between(start, end),
        }[comparator.operator]
        if comparator.version.pre:
            allowed |= places[comparator.version.numbers]
    return within & allowed


def _starts(version: Version) -> Iterator[tuple[int, Version]]:
    """Yield, with a rank, the versions that an interval bounded by ``version`` can begin with."""
    major, minor, patch = version.numbers
    release = Version(major, minor, patch)
    yield from ((2 if version.pre else 0, version), (0, release))
    for numbers in ((major, minor, patch + 1), (major, minor + 1, 0), (major + 1, 0, 0)):
        if max(numbers) <= _MOST:
            yield 1, Version(*numbers)
    if version.pre:
        yield from ((3, replace(release, pre=(*version.pre, 0))), (3, replace(release, pre=(0,))))


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
        # The end of a hyphen range that is a pre-release is written anew, without its sign.
        twice_signed = len(numbers) == 3 and match[1] not in ("", "v") and not (hyphen and sign == "<=" and match[5])
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
