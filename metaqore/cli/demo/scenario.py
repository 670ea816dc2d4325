"""The scenario shipped with MetaQore: a small project of our own making, for where there is no history to be had.

``scenario/log.txt`` has its changes as ``git log --numstat --format=%s`` prints them: a subject, and below it one line
for each file. ``scenario/versions/<path>.<n>.txt`` are successive texts of a few of its files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from metaqore.cli.demo.edits import Collision, Edits, Versions, split
from metaqore.cli.demo.history import Change, History

_FOLDER = Path(__file__).with_name("scenario")
_FILE = re.compile(r"(\d+) (\d+) (\S+)")


def shipped() -> History:
    """Return the scenario as a history."""
    changes = list(_changes((_FOLDER / "log.txt").read_text(encoding="utf-8")))
    edits: list[Edits] = []
    collisions: list[Collision] = []
    for versions in _versions(_FOLDER / "versions"):
        found = split(versions)
        edits += found[0]
        collisions += found[1]
    return History(
        source="the scenario shipped with MetaQore (a harbour office)",
        commits=len({change.subject for change in changes}), changes=changes, edits=edits, collisions=collisions,
    )  # fmt: skip


def _changes(log: str) -> Iterator[Change]:
    subject = ""
    for line in log.splitlines():
        found = _FILE.fullmatch(line)
        if found is None:
            subject = line
        else:
            yield Change(subject, found[3], int(found[1]), int(found[2]))


def _versions(folder: Path) -> Iterator[Versions]:
    for first in sorted(folder.rglob("*.1.txt")):
        path = first.name.removesuffix(".1.txt")
        files = sorted(first.parent.glob(f"{path}.*.txt"), key=lambda file: int(file.name.split(".")[-2]))
        yield Versions(
            path=(first.parent / path).relative_to(folder).as_posix(),
            names=tuple(f"v{nth}" for nth in range(1, len(files) + 1)),
            texts=tuple(file.read_text(encoding="utf-8") for file in files),
        )
