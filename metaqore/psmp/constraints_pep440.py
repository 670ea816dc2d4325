"""Version specifiers of Python packages (PEP 440), read by ``packaging``.

Source: https://packaging.python.org/en/latest/specifications/version-specifiers/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
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
    cuts = _cuts([clause for clause in clauses if clause.operator != "==="])
    ranks = {_LEAST: 5, Version("0"): 1}
    for cut in cuts.values():
        for version, rank in cut.ranks:
            ranks[version] = min(rank, ranks.get(version, rank))
    ordered = sorted(ranks)
    places = {version: at for at, version in enumerate(ordered)}
    accepted = {
        clause: sum(
            bits_between(places[start], len(ordered) if end is None else places[end]) for start, end in cut.accepted
        )
        for clause, cut in cuts.items()
    }
    counted = [at for version, at in places.items() if prereleases or not version.is_prerelease]
    everything = bits(counted)
    return VersionLine(
        versions=[*ordered, *spelled],
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


@dataclass(frozen=True, slots=True)
class _Cut:
    """The intervals into which a clause cuts the order of versions, within which it accepts all or nothing."""

    #: The first version of each, with its rank.
    ranks: tuple[tuple[Version, int], ...]
    #: Those that it accepts: the first version, and the first one after them; None at the end.
    accepted: tuple[tuple[Version, Version | None], ...]


def _cuts(clauses: Sequence[Specifier]) -> dict[Specifier, _Cut]:
    """Return how each clause cuts; the clauses that go with it hardly matter, so that most are cut once for all."""
    named = {clause: _named(clause) for clause in clauses}
    every = [version for versions in named.values() for version in versions]
    depth = max((len(version.release) for version in every), default=0)
    labelled = [version for version in every if version.local]
    return {
        clause: _cut(
            str(clause),
            depth,
            # A local label names a single version, right among the others of its kind.
            tuple(dict.fromkeys(str(each) for each in labelled if _same_but_label(each, versions[0]))),
        )
        for clause, versions in named.items()
    }


def _same_but_label(one: Version, other: Version) -> bool:
    return Version(one.public) == Version(other.public)


@lru_cache(maxsize=8192)
def _cut(text: str, depth: int, labelled: tuple[str, ...]) -> _Cut:
    """Cut the order of versions by a clause, any but ``===``.

    Args:
        text: the clause; clauses that are equal may be spelled in two ways, and the witness follows the spelling.
        depth: the most release segments of any version named beside it.
        labelled: versions with a local label that are named beside it and differ from its own in nothing else.
    """
    clause = Specifier(text)
    starts = [start for version in _named(clause) for start in _starts(version, depth)]
    starts += [(0, label) for label in labelled]
    ranks = {Version(text): rank for rank, text in sorted(starts, reverse=True)}
    bounds = sorted({_LEAST, *ranks})
    accepted = tuple(
        (start, end)
        for start, end in zip(bounds, [*bounds[1:], None], strict=True)
        if clause.contains(start, prereleases=True)
    )
    return _Cut(tuple(ranks.items()), accepted)


def _named(clause: Specifier) -> list[Version]:
    """Return the versions that a clause names."""
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
