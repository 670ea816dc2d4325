"""Three-way merge of lists of files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from metaqore.psmp.merge_result import MergeResult, Preference
from metaqore.psmp.merge_split import Effort
from metaqore.psmp.merge_text import Labels, TextConflict, merge_text


@dataclass(frozen=True, slots=True)
class FileConflict:
    """A file that both sides changed in different ways."""

    path: str
    #: "edit/edit", "edit/delete", "add/add", or "file/folder": a path that also is the folder of another.
    type: str
    #: Where the two texts contradict each other; empty where there are not two.
    hunks: tuple[TextConflict, ...] = ()


def merge_files(
    base: Mapping[str, str],
    ours: Mapping[str, str],
    theirs: Mapping[str, str],
    *,
    prefer: Preference | None = None,
    labels: Labels | None = None,
    effort: Effort | None = None,
) -> MergeResult[dict[str, str], FileConflict]:
    """Merge two successors of a list of files, each by its lines.

    A file that one side edited and the other deleted is a conflict, and so are two different texts added
    under one path. Renamed files are not followed: they are a deletion and an addition.

    Args:
        base: path → text of the files that both sides started from. Paths use "/".
        ours: one successor.
        theirs: the other successor.
        prefer: the side to take in conflicts. The result is still not clean.
        labels: names for the conflict markers.
        effort: what may be spent on comparing all of them; None is no bound.

    Raises:
        TooMuchEffort: the effort is spent.

    Returns:
        Path → text, sorted by path. Where it is not clean and no side is preferred, texts carry conflict
        markers (``merge_text``), and a file that one side deleted is there as the other left it.
    """
    merged: dict[str, str] = {}
    conflicts: list[FileConflict] = []
    for path in sorted({*base, *ours, *theirs}):
        before, left, right = base.get(path), ours.get(path), theirs.get(path)
        text: str | None
        if left == right or before == right:
            text = left
        elif before == left:
            text = right
        elif left is None or right is None:
            kept = right if left is None else left
            text = {"ours": left, "theirs": right, None: kept}[prefer]
            conflicts.append(FileConflict(path, "edit/delete"))
        else:
            result = merge_text(before or "", left, right, prefer=prefer, labels=labels, effort=effort)
            text = result.merged
            if not result.clean:
                kind = "add/add" if before is None else "edit/edit"
                conflicts.append(FileConflict(path, kind, result.conflicts))
        if text is not None:
            merged[path] = text
    conflicts += [FileConflict(path, "file/folder") for path in _files_as_folders(merged)]
    return MergeResult(not conflicts, merged, tuple(sorted(conflicts, key=lambda conflict: conflict.path)))


def _files_as_folders(paths: Iterable[str]) -> list[str]:
    """Return the paths that are a folder of another one."""
    folders = {path[:at] for path in paths for at, letter in enumerate(path) if letter == "/"}
    return sorted(folders.intersection(paths))
