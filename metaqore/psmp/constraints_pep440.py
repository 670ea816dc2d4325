"""Version specifiers of Python packages (PEP 440), read by ``packaging``.

Source: https://packaging.python.org/en/latest/specifications/version-specifiers/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version


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


def parse_version(text: str) -> Version | None:
    """Read a version; None where the text is none, which only ``===`` can name."""
    try:
        return Version(text)
    except InvalidVersion:
        return None


def accepts(specifiers: SpecifierSet, version: Version | str) -> bool:
    """Return whether the version is in the set, be it a pre-release or not. ``===`` asks for its spelling."""
    if isinstance(version, Version) or parse_version(version):
        return specifiers.contains(version, prereleases=True)
    return all(each.operator == "===" and each.version.lower() == version.lower() for each in specifiers)


def candidates(ranges: Iterable[SpecifierSet], *, prereleases: bool) -> list[Version | str]:
    """Return versions of which one is in all sets, if any version is; those to be liked best first.

    The clauses cut the order of all versions into intervals. Each interval begins at a version that a clause
    names, right after one, right after all its post-releases, or where the next release begins that
    does not share its prefix; ``_starts`` gives a version at each such place.

    Args:
        ranges: the sets.
        prereleases: give pre-releases and development releases too, after all others.
    """
    clauses = [clause for specifiers in ranges for clause in specifiers]
    named = [parse_version(clause.version.removesuffix(".*")) for clause in clauses]
    versions = [version for version in named if version]
    depth = max((len(version.release) for version in versions), default=0)
    ranks = {Version("0"): 1}
    for version in versions:
        for rank, text in _starts(version, depth):
            start = Version(text)
            ranks[start] = min(rank, ranks.get(start, rank))
    found = sorted(ranks, key=lambda version: (version.is_prerelease, ranks[version], version))
    spelled = sorted({clause.version for clause in clauses if clause.operator == "==="})
    if not prereleases:
        found = [version for version in found if not version.is_prerelease]
        spelled = [text for text in spelled if not ((version := parse_version(text)) and version.is_prerelease)]
    return [*found, *spelled]


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
    post = version.post
    if post is not None:
        yield from ((3, f"{pre}.post{post}"), (3, f"{pre}.post{post + 1}"))
    for number in (0,) if post is None else (post, post + 1):
        yield from ((3, f"{pre}.post{number}"), (5, f"{pre}.post{number}.dev0"))
    if version.dev is not None:
        yield 5, f"{version.public.rpartition('.dev')[0]}.dev{version.dev + 1}"
