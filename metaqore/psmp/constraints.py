"""Decide whether version requirements can hold together.

Any conceivable version counts, published or not: two requirements are in conflict where no version can ever
satisfy both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from operator import and_
from typing import Literal, TypeVar, get_args

from metaqore.errors import InvalidInput
from metaqore.psmp import constraints_npm, constraints_pep440
from metaqore.psmp.constraints_line import VersionLine

#: "pypi": PEP 440 specifiers. "npm": ranges of node-semver.
Ecosystem = Literal["pypi", "npm"]

#: A specifier, or who declares it and the specifier.
Requirement = str | tuple[str, str]

# Python reads no integer of more than 4,300 digits.
_MOST_CHARACTERS = 4096

_Range = TypeVar("_Range")


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
        sets, which = _distinct(requirements, constraints_pep440.parse_range)
        return _solution(constraints_pep440.version_line(sets, prereleases=prereleases), which)
    if ecosystem == "npm":
        ranges, which = _distinct(requirements, constraints_npm.parse_range)
        return _solution(constraints_npm.version_line(ranges), which)
    raise InvalidInput(f"the ecosystem {ecosystem!r} is not known: use {' or '.join(get_args(Ecosystem))}")


def _distinct(requirements: Sequence[Requirement], parse: Callable[[str], _Range]) -> tuple[list[_Range], list[int]]:
    """Return the ranges, each text once, and for each requirement which of them is its own."""
    texts: dict[str, int] = {}
    ranges: list[_Range] = []
    which: list[int] = []
    for position, requirement in enumerate(requirements):
        declared_by, text = ("", requirement) if isinstance(requirement, str) else requirement
        if text not in texts:
            try:
                if len(text) > _MOST_CHARACTERS:
                    raise ValueError(f"it is longer than {_MOST_CHARACTERS} characters: shorten it")
                ranges.append(parse(text))
            except ValueError as error:
                whose = f" of {declared_by}" if declared_by else ""
                raise InvalidInput(f"requirement {position}{whose}: {error}", position=position) from error
            texts[text] = len(texts)
        which.append(texts[text])
    return ranges, which


def _solution(line: VersionLine, which: Sequence[int]) -> Solution:
    common = reduce(and_, line.accepted, -1)
    for position in line.preference:
        if common >> position & 1:
            return Solution(True, witness=str(line.versions[position]))
    first = {each: position for position, each in reversed(list(enumerate(which)))}
    return Solution(False, core=tuple(sorted(first[each] for each in _core(line.accepted))))


def _core(accepted: Sequence[int]) -> tuple[int, ...]:
    """Return positions of sets that have nothing in common, none of them needless.

    One or two positions where that is enough, as it is unless single versions are excluded.
    """
    for size in (1, 2):
        for few in combinations(range(len(accepted)), size):
            if not reduce(and_, (accepted[i] for i in few)):
                return few
    core = list(range(len(accepted)))
    for i in reversed(range(len(accepted))):
        without = [j for j in core if j != i]
        if not reduce(and_, (accepted[j] for j in without)):
            core = without
    return tuple(core)
