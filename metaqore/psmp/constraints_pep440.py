"""Version specifiers of Python packages (PEP 440), read by ``packaging``.

Source: https://packaging.python.org/en/latest/specifications/version-specifiers/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from itertools import pairwise
from operator import and_

from packaging.specifiers import InvalidSpecifier, Specifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from metaqore.psmp.constraints_line import VersionLine, bits, bits_between

_LEAST = Version("0.dev0")


def parse_range(text: str) -> SpecifierSet:
    """Read a specifier set such as ``>=2,<3``; old metadata put it in parentheses.

    Raises:
        ValueError: it is none.
    """
    bare = text.strip()
    if bare.startswith("(") and bare.endswith(")"):
        bare = bare[1:-1]
    try:
        return SpecifierSet(bare)
    except InvalidSpecifier:
        raise ValueError(f"{text!r} is not a PEP 440 specifier: write one as in >=2.0,<3 or ~=1.4") from None


def names_prerelease(text: str) -> bool:
    """Return whether a readable specifier set asks for a pre-release or development release by name."""
    return any(
        clause.operator not in ("!=", "===") and Version(clause.version.removesuffix(".*")).is_prerelease
        for clause in parse_range(text)
    )


def version_line(sets: Sequence[SpecifierSet], *, prereleases: bool) -> VersionLine:
    """Put all versions that matter to the sets in a line, and say which of them each set accepts.

    The clauses cut the order of all versions into intervals within which no clause tells one version from
    another, and ``_starts`` gives a version of each. ``===`` asks for a spelling instead; what it names
    stands at the end of the line.

    Args:
        sets: the specifier sets.
        prereleases: let pre-releases and development releases count.
    """
    clauses = list(dict.fromkeys(clause for each in sets for clause in each))
    spelled = sorted({clause.version for clause in clauses if clause.operator == "==="})
    starts = _all_starts(clause for clause in clauses if clause.operator != "===")
    ranks = {_LEAST: 5, Version("0"): 1}
    for version, rank in (each for found in starts.values() for each in found.items()):
        ranks[version] = min(rank, ranks.get(version, rank))
    ordered = sorted(ranks)
    places = {version: at for at, version in enumerate(ordered)}
    accepted = {clause: _accepted(clause, found, ordered, places) for clause, found in starts.items()}
    counted = [at for version, at in places.items() if prereleases or not version.is_prerelease]
    everything = bits(counted)
    return VersionLine(
        versions=[*map(str, ordered), *spelled],
        preference=[
            *sorted(counted, key=lambda at: (ordered[at].is_prerelease, ranks[ordered[at]], at)),
            *range(len(ordered), len(ordered) + len(spelled)),
        ],
        accepted=[
            reduce(and_, (accepted.get(clause, 0) for clause in each), everything)
            | bits(
                at
                for at, text in enumerate(spelled, len(ordered))
                if _accepts_spelling(each, text, prereleases=prereleases)
            )
            for each in sets
        ],
    )


def _accepts_spelling(specifiers: SpecifierSet, text: str, *, prereleases: bool) -> bool:
    """Return whether the set accepts a version as it is spelled; one that is none, only ``===`` can name."""
    try:
        is_prerelease = Version(text).is_prerelease
    except InvalidVersion:
        return all(each.operator == "===" and each.version.lower() == text.lower() for each in specifiers)
    return (prereleases or not is_prerelease) and specifiers.contains(text, prereleases=True)


def _accepted(
    clause: Specifier, starts: Iterable[Version], ordered: Sequence[Version], places: dict[Version, int]
) -> int:
    """Return which of the versions, all in order, the clause accepts.

    Args:
        clause: any clause but ``===``.
        starts: the first versions of the intervals within which it accepts all or nothing.
        ordered: all versions.
        places: where each stands in ``ordered``.
    """
    bounds = sorted({places[_LEAST], *(places[version] for version in starts)})
    return sum(
        bits_between(start, end)
        for start, end in pairwise([*bounds, len(ordered)])
        if clause.contains(ordered[start], prereleases=True)
    )


def _all_starts(clauses: Iterable[Specifier]) -> dict[Specifier, dict[Version, int]]:
    """Return the starts of the intervals of each clause, with their ranks."""
    named = {clause: _named(clause) for clause in clauses}
    every = [version for versions in named.values() for version in versions]
    depth = max((len(version.release) for version in every), default=0)
    labelled = [version for version in every if version.local]
    found: dict[Specifier, dict[Version, int]] = {}
    for clause, versions in named.items():
        starts = [start for version in versions for start in _starts(version, depth)]
        # A local label names a single version, right among the others of its kind.
        starts += [(0, str(each)) for each in labelled if each.public == versions[0].public]
        found[clause] = {Version(text): rank for rank, text in sorted(starts, reverse=True)}
    return found


def _named(clause: Specifier) -> list[Version]:
    version = Version(clause.version.removesuffix(".*"))
    if clause.operator != "~=":
        return [version]
    # It also is an "==" with the prefix.
    return [version, Version(f"{version.epoch}!{'.'.join(map(str, version.release[:-1]))}")]


def _starts(version: Version, depth: int) -> Iterator[tuple[int, str]]:
    """Yield, with a rank, the versions that an interval bounded by ``version`` can begin with.

    Args:
        version: a version that a clause names.
        depth: the most release segments of any version named.
    """
    epoch = f"{version.epoch}!" if version.epoch else ""
    *front, last = version.release
    release = epoch + version.base_version.removeprefix(epoch)
    following = epoch + ".".join(map(str, [*front, last + 1]))
    # Deeper than any release named, so right after everything that is a form of this release.
    deeper = release + ".0" * (depth - len(version.release) + 1) + ".1"
    pre = release + "".join(map(str, version.pre or ()))
    yield from ((0, str(version)), (0, release), (0, version.public))
    yield from ((1, following), (2, f"{release}.1"), (4, deeper))
    yield from ((5, f"{start}.dev0") for start in (release, following, deeper, pre))
    if version.pre:
        stage, number = version.pre
        yield from ((5, pre), (5, f"{release}{stage}{number + 1}.dev0"))
    for number in (0,) if version.post is None else (version.post, version.post + 1):
        yield from ((3, f"{pre}.post{number}"), (5, f"{pre}.post{number}.dev0"))
    if version.dev is not None:
        yield 5, f"{version.public.rpartition('.dev')[0]}.dev{version.dev + 1}"
