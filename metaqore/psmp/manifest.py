"""Package requirements that must hold together: one manifest for all artifacts of a project. Pure.

Which requirements meet: those of the same ecosystem, package and *environment*. ``runtime`` and ``dev`` requirements
share the environment ``run``: whoever develops installs both. ``build`` requirements meet only each other, as build
tools are installed apart (PEP 517, build isolation). Package names are compared as their registry does.

A version that nobody has published yet counts: two requirements are in conflict where no version can ever satisfy
both. Pre-releases of PyPI count only where a requirement names one, as installers do (PEP 440, "Handling of
pre-releases").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import product
from typing import Any, Literal

import msgspec

from metaqore.errors import InvalidInput
from metaqore.psmp import constraints_npm, constraints_pep440
from metaqore.psmp.constraints import Ecosystem, Solution, solve
from metaqore.psmp.model import Requirement

Environment = Literal["run", "build"]

MAX_REQUIREMENTS = 256
#: Different specifiers that are solved for one declaration, over all packages that it names: about half a second of the
#: write lock where each is new, which only a project made for it comes near.
MAX_SPECIFIERS = 512
#: Bounds (``>=2`` is one) that are solved for one page of a manifest: about a second.
MAX_BOUNDS = 1024
_BOUNDS = re.compile(r"[^\s,|]+")
_MAX_ALTERNATIVES = 16
#: Others with which each bound of a narrowed specifier is tried; beside more it becomes a single version.
_MAX_NARROWED = 16
_PYPI = re.compile(r"([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9])\s*(\[[A-Za-z0-9._,\s-]*\])?")
_NPM = re.compile(r"(@[A-Za-z0-9~._-]+/)?[A-Za-z0-9~._-]+")


class Slot(msgspec.Struct, frozen=True, order=True):
    """Where requirements meet."""

    project: str
    ecosystem: Ecosystem
    package: str
    environment: Environment


class Holder(msgspec.Struct, frozen=True):
    """An artifact whose present version has a requirement."""

    artifact: str
    declared_by: str


class Held(msgspec.Struct, frozen=True):
    """One specifier in a slot, with the first two (by id) of the artifacts that have it, or the only one twice."""

    slot: Slot
    specifier: str
    first: Holder
    second: Holder


def environment(requirement: Requirement) -> Environment:
    """Return the environment that a requirement is installed in."""
    return "build" if requirement.scope == "build" else "run"


def package_name(ecosystem: Ecosystem, name: str) -> str:
    """Return the name as its registry compares it; extras (``httpx[http2]``) are left out.

    Raises:
        ValueError: it is no name of a package.
    """
    match = (_PYPI if ecosystem == "pypi" else _NPM).fullmatch(name.strip())
    if match is None or len(name) > 214:
        raise ValueError(f"{name[:80]!r} is no name of a package of {ecosystem}")
    if ecosystem == "npm":
        return match[0]
    return re.sub(r"[-_.]+", "-", match[1]).lower()


def slots(project: str, requires: Iterable[Requirement]) -> list[Slot]:
    """Return where each requirement belongs, in order."""
    return [Slot(project, r.ecosystem, package_name(r.ecosystem, r.name), environment(r)) for r in requires]


def check_requirements(requires: Sequence[Requirement]) -> None:
    """Refuse requirements that nobody could read.

    Raises:
        InvalidInput: which one, and what is wrong with it.
    """
    if len(requires) > MAX_REQUIREMENTS:
        raise InvalidInput(f"requires: at most {MAX_REQUIREMENTS} entries")
    for index, requirement in enumerate(requires):
        try:
            package_name(requirement.ecosystem, requirement.name)
        except ValueError as error:
            raise InvalidInput(f"requires[{index}].name: {error}") from error
        error_text = _unreadable(requirement.ecosystem, requirement.specifier)
        if error_text is not None:
            raise InvalidInput(f"requires[{index}].specifier: {error_text}")


@lru_cache(maxsize=8192)
def _unreadable(ecosystem: Ecosystem, specifier: str) -> str | None:
    try:
        solve((specifier,), ecosystem=ecosystem)
    except InvalidInput as error:
        return str(error).removeprefix("requirement 0: ")
    return None


@lru_cache(maxsize=8192)
def solved(ecosystem: Ecosystem, specifiers: tuple[str, ...]) -> Solution:
    """Solve specifiers; the answer is kept, as most declarations ask what the one before them asked."""
    solution = solve(specifiers, ecosystem=ecosystem)
    if solution.satisfiable or ecosystem == "npm":
        return solution
    if any(constraints_pep440.names_prerelease(specifier) for specifier in specifiers):
        return solve(specifiers, ecosystem=ecosystem, prereleases=True)
    return solution


class Judged(msgspec.Struct, frozen=True):
    """Whether a specifier goes together with those of others.

    ``witness`` satisfies all where they go together, else all of the others', where there is such a version.
    ``core`` are specifiers of which none can be left out of the contradiction, the asked one among them.
    """

    fits: bool
    witness: str | None
    core: tuple[str, ...] = ()


def judge(ecosystem: Ecosystem, own: Sequence[str], others: Iterable[str]) -> Judged:
    """Judge the specifiers of one artifact in one slot against those of all others."""
    rest = tuple(sorted(set(others) - set(own)))
    mine = tuple(dict.fromkeys(own))
    together = solved(ecosystem, mine + rest)
    if together.satisfiable:
        return Judged(True, together.witness)
    core = tuple((mine + rest)[at] for at in together.core)
    if any(each in mine for each in core):
        without = solved(ecosystem, rest)
        return Judged(False, without.witness, core)
    # The others contradict each other already (a mode let them through): only what this adds counts against it.
    for other in rest:
        pair = solved(ecosystem, (*mine, other))
        few = tuple((*mine, other)[at] for at in pair.core)
        if any(each in mine for each in few):
            return Judged(False, None, few)
    return Judged(True, None)


def narrowed(ecosystem: Ecosystem, specifier: str, others: Iterable[str]) -> str | None:
    """Return what takes the place of a specifier that contradicts ``others``; None where they contradict each other.

    It accepts nothing that one of the others does not accept, and what of ``specifier`` goes together with them stays:
    ``>=1.5,!=2.3,<2`` beside ``>=2`` becomes ``!=2.3,>=1.5,>=2``.
    """
    rest = tuple(sorted(set(others)))
    common = solved(ecosystem, rest)
    parts = _parts(ecosystem, specifier)
    if common.witness is None or len(parts) > _MAX_ALTERNATIVES:
        return None
    kept: tuple[str, ...] = ()
    if len(rest) <= _MAX_NARROWED:
        for part in parts:
            if solved(ecosystem, (*rest, *kept, part)).satisfiable:
                kept += (part,)
        text = joint(ecosystem, (*rest, *kept))
        if _unreadable(ecosystem, text) is None and solved(ecosystem, (*rest, text)).satisfiable:
            return text
    return f"=={common.witness}" if ecosystem == "pypi" else common.witness


def _parts(ecosystem: Ecosystem, specifier: str) -> list[str]:
    """Return the bounds that a specifier is made of; none of one that names alternatives."""
    if ecosystem == "pypi":
        return sorted(str(clause) for clause in constraints_pep440.parse_range(specifier))
    alternatives = constraints_npm.parse_range(specifier).alternatives
    return [f"{c.operator}{c.version}" for c in alternatives[0]] if len(alternatives) == 1 else []


def joint(ecosystem: Ecosystem, specifiers: Iterable[str]) -> str:
    """Return one specifier that says what all of them say, in their ecosystem's own notation."""
    texts = sorted({text.strip() for text in specifiers} - {"", "*"} if ecosystem == "npm" else set(specifiers))
    if ecosystem == "pypi":
        return str(constraints_pep440.parse_range(",".join(t.strip().strip("()") for t in texts if t.strip())))
    ranges = [constraints_npm.parse_range(text) for text in texts]
    count = 1
    for each in ranges:
        count *= len(each.alternatives)
    if count > _MAX_ALTERNATIVES:
        return " and ".join(f"({text})" for text in texts)
    combined = product(*(each.alternatives for each in ranges))
    shown = (dict.fromkeys(f"{c.operator}{c.version}" for part in parts for c in part) for parts in combined)
    return " || ".join(dict.fromkeys(" ".join(each) for each in shown)) or "*"


class Budget:
    """How much is still solved for one page of a manifest: bounds (``>=2`` is one), of all packages together."""

    def __init__(self, bounds: int = MAX_BOUNDS) -> None:
        self._left = bounds

    def allows(self, specifiers: Sequence[str]) -> bool:
        """Take what solving these costs; False where it is more than is left, and then nothing is taken."""
        cost = sum(len(_BOUNDS.findall(text)) or 1 for text in specifiers)
        if cost > self._left:
            return False
        self._left -= cost
        return True


def summary(ecosystem: Ecosystem, specifiers: Sequence[str], budget: Budget) -> dict[str, Any]:
    """Return what the manifest says of a slot with these specifiers; it is undecided where the budget is used up."""
    texts = sorted(set(specifiers))
    if len(texts) > MAX_SPECIFIERS or not budget.allows(texts):
        return {"constraint": None, "satisfiable": None, "undecided": True, "witness": None, "core": []}
    solution = solved(ecosystem, tuple(texts))
    return {
        "constraint": joint(ecosystem, specifiers),
        "satisfiable": solution.satisfiable,
        "undecided": False,
        "witness": solution.witness,
        "core": [texts[at] for at in solution.core],
    }
