"""Decide whether version requirements can hold together.

Any conceivable version counts, published or not: two requirements are in conflict where no version can ever
satisfy both.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, TypeVar, get_args

from metaqore.errors import InvalidInput
from metaqore.psmp import constraints_npm, constraints_pep440

#: "pypi": PEP 440 specifiers. "npm": ranges of node-semver.
Ecosystem = Literal["pypi", "npm"]

#: A specifier, or who declares it and the specifier.
Requirement = str | tuple[str, str]

_Range = TypeVar("_Range")
_Version = TypeVar("_Version")


@dataclass(frozen=True, slots=True)
class Solution:
    """Whether requirements can hold together, and the proof."""

    satisfiable: bool
    #: A version that satisfies all requirements; None where there is none.
    witness: str | None = None
    #: Positions of requirements that cannot hold together, though they can without any one of them; empty where
    #: satisfiable. A single position is a requirement that contradicts itself.
    core: tuple[int, ...] = ()


def solve(requirements: Sequence[Requirement], *, ecosystem: Ecosystem, prereleases: bool = False) -> Solution:
    """Find a version that satisfies all requirements, or the few of them that contradict each other.

    Args:
        requirements: specifiers, or pairs of who declares it and the specifier.
        ecosystem: whose rules the specifiers follow.
        prereleases: for "pypi", let pre-releases and development releases count; without, ``==2.0rc1`` cannot
            be satisfied. For "npm" it says nothing: the ranges themselves let pre-releases in.

    Returns:
        The solution; the same for the same arguments, in any process.

    Raises:
        InvalidInput: an unknown ecosystem, or a specifier that cannot be read.
    """
    if ecosystem == "pypi":
        sets = _parsed(requirements, constraints_pep440.parse_range)
        versions = constraints_pep440.candidates(sets, prereleases=prereleases)
        return _solution(sets, versions, constraints_pep440.accepts)
    if ecosystem == "npm":
        ranges = _parsed(requirements, constraints_npm.parse_range)
        return _solution(ranges, constraints_npm.candidates(ranges), constraints_npm.Range.accepts)
    raise InvalidInput(f"the ecosystem {ecosystem!r} is not known: use {' or '.join(get_args(Ecosystem))}")


def _parsed(requirements: Sequence[Requirement], parse: Callable[[str], _Range]) -> list[_Range]:
    parsed = []
    for position, requirement in enumerate(requirements):
        declared_by, specifier = ("", requirement) if isinstance(requirement, str) else requirement
        try:
            parsed.append(parse(specifier))
        except ValueError as error:
            whose = f" of {declared_by}" if declared_by else ""
            raise InvalidInput(f"requirement {position}{whose}: {error}", position=position) from error
    return parsed


def _solution(
    ranges: Sequence[_Range], versions: Iterable[_Version], accepts: Callable[[_Range, _Version], bool]
) -> Solution:
    """Try the versions, of which one satisfies all ranges if any version does."""
    everything = (1 << len(ranges)) - 1
    together = set()
    for version in versions:
        satisfied = sum(1 << i for i, each in enumerate(ranges) if accepts(each, version))
        if satisfied == everything:
            return Solution(True, witness=str(version))
        together.add(satisfied)
    return Solution(False, core=_core(len(ranges), together))


def _core(count: int, together: Collection[int]) -> tuple[int, ...]:
    """Return positions that cannot hold together, none of them needless.

    One or two positions where that is enough, as it is unless single versions are excluded.

    Args:
        count: how many requirements there are.
        together: bit sets of requirements that one version satisfies; each satisfiable set is within one.
    """
    partners = [0] * count
    for each in together:
        for i in range(count):
            if each >> i & 1:
                partners[i] |= each
    for i in range(count):
        if not partners[i]:
            return (i,)
    for i, j in combinations(range(count), 2):
        if not partners[i] >> j & 1:
            return i, j
    core = (1 << count) - 1
    for i in reversed(range(count)):
        without = core & ~(1 << i)
        if all(each & without != without for each in together):
            core = without
    return tuple(i for i in range(count) if core >> i & 1)
