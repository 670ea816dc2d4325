"""Pieces of installed software: source, documentation, data, licences. Innocent, and what agents read most.

Taken from the standard library, from installed distributions under MIT, BSD or Apache-2.0, and from our own files.
Sorted and drawn by a seed: with the versions in ``constraints.txt`` they are the same pieces on every machine. Half of
the packages, by the checksum of their names, are never trained on: what the model does on unseen software is measured
there.
"""

from __future__ import annotations

import random
import re
import sysconfig
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

_SUFFIXES = frozenset({".py", ".md", ".rst", ".txt", ".json", ".yaml", ".toml", ".css", ".js", ".html", ".csv", ".pyi"})
_PERMISSIVE = re.compile(r"\b(?:MIT|BSD|Apache)\b", re.IGNORECASE)
_OTHER = re.compile(r"GPL|Mozilla|MPL|General Public|Proprietary", re.IGNORECASE)
_OF_A_PACKAGE = 36
_SIZES = (250, 500, 1000)
_LARGEST_FILE = 1 << 20
#: What speaks about attacks on purpose.
_ABOUT_ATTACKS = re.compile(r"^metaqore$|garak|bastion|attack|jailbreak|security|threat|injection")


class Piece(NamedTuple):
    """A piece of a file."""

    package: str
    text: str


def pieces(*, unseen: bool, seed: int, of_a_package: int = _OF_A_PACKAGE) -> Iterator[Piece]:
    """Yield pieces of the packages that are trained on, or of those that never are."""
    for package, paths in sorted(_packages().items()):
        if is_unseen(package) is unseen:
            yield from _some(package, paths, random.Random(crc32(f"{seed} {package}".encode())), of_a_package)


def is_unseen(package: str) -> bool:
    """Return whether a package is kept for measuring."""
    return crc32(package.lower().encode()) % 2 == 1


def _packages() -> dict[str, list[Path]]:
    standard = Path(sysconfig.get_paths()["stdlib"])
    found: dict[str, list[Path]] = {}
    for entry in standard.iterdir():
        if entry.name in ("site-packages", "dist-packages", "__pycache__", "idlelib"):
            continue
        inside = entry.rglob("*.py") if entry.is_dir() else [entry] if entry.suffix == ".py" else []
        # A module of its own is a small package.
        found.setdefault(f"python-{entry.stem}", []).extend(inside)
    for path in _own():
        found.setdefault(f"metaqore-{path.stem}", []).append(path)
    for distribution in distributions():
        name = (distribution.metadata["Name"] or "").lower()
        if name and _is_permissive(distribution) and not _ABOUT_ATTACKS.search(name):
            found[name] = [Path(str(distribution.locate_file(path))) for path in distribution.files or ()]
    return {name: sorted(path for path in paths if _is_text(path)) for name, paths in found.items()}


def _own() -> Iterator[Path]:
    """Yield our own files, those about security and attacks left out: what governs agents speaks of agents."""
    root = Path(__file__).parents[3]
    for folder in ("metaqore", "api", "workers", "config"):
        for path in (root / folder).rglob("*"):
            if not {"security", "attack", "hmcp", "__pycache__"} & set(path.relative_to(root).parts):
                yield path
    yield from (root / name for name in ("README.md", "CHANGELOG.md"))


def _is_permissive(distribution: Distribution) -> bool:
    fields = distribution.metadata
    told = [line for name in ("License-Expression", "License") for line in fields.get_all(name) or ()]
    told = [line[:200] for line in told] + [line for line in fields.get_all("Classifier") or () if "License" in line]
    licence = " ".join(told)
    return bool(_PERMISSIVE.search(licence)) and not _OTHER.search(licence)


def _is_text(path: Path) -> bool:
    fine = path.suffix in _SUFFIXES or path.name in ("METADATA", "LICENSE")
    return (
        fine and not _ABOUT_ATTACKS.search(path.name) and path.is_file() and 200 < path.stat().st_size < _LARGEST_FILE
    )


def _some(package: str, paths: list[Path], chance: random.Random, most: int) -> Iterator[Piece]:
    alone = package.startswith(("python-", "metaqore-")) and len(paths) == 1
    for path in chance.sample(paths, min(len(paths), 2 if alone else most)):
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        size = chance.choice(_SIZES)
        start = chance.randrange(max(1, len(text) - size))
        if len(piece := text[start : start + size].strip()) > 60:
            yield Piece(package, piece)
