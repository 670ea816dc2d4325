"""What the installed distributions require of one another, as their metadata declares it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name


@dataclass(frozen=True, slots=True)
class Distribution:
    """An installed distribution: its requirements as (name, specifier), and those of them that are installed."""

    name: str
    version: str
    requires: tuple[tuple[str, str], ...]
    depends_on: tuple[str, ...]


def installed() -> list[Distribution]:
    """Return MetaQore and all it requires, each after what it depends on, MetaQore last.

    Where MetaQore runs from its sources and is no distribution, Celery takes its place. A requirement that would
    close a circle stays a constraint and is no dependency.
    """
    found: dict[str, Distribution] = {}
    for root in ("metaqore", "celery"):
        if not found:
            _visit(root, found, set())
    return list(found.values())


def _visit(name: str, found: dict[str, Distribution], above: set[str]) -> None:
    metadata = _metadata(name)
    if metadata is None:
        return
    version, requires = metadata
    for needed in requires:
        if needed not in found and needed not in above | {name}:
            _visit(needed, found, above | {name})
    found[name] = Distribution(
        name, version, tuple(sorted(requires.items())), tuple(sorted(needed for needed in requires if needed in found))
    )


def _metadata(name: str) -> tuple[str, Mapping[str, str]] | None:
    """Return version and requirements (name → specifier) that hold on this machine without extras."""
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    requires: dict[str, str] = {}
    for line in distribution.requires or ():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            requires[str(canonicalize_name(requirement.name))] = str(requirement.specifier)
    return distribution.version, requires
