"""Carrying out what a conflict's strategy suggests, where that is safe: the three-way merge of contents. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from metaqore.psmp.merge import merge_files, merge_json, merge_text
from metaqore.psmp.merge_split import Effort, TooMuchEffort
from metaqore.psmp.model import Merged

#: Most lines of a text that is merged inside the deciding transaction, while the write lock is held, and the most that
#: is spent on comparing: about 0.1 s each, a hundred times what real texts need. What takes more is for
#: ``metaqore merge`` and a person.
MAX_LINES = 20_000
MAX_STEPS = 1_500_000
# What comparing an element of a list costs.
_LINES_OF_AN_ELEMENT = 5


def merge_contents(base: Any, ours: Any, theirs: Any) -> Merged:
    """Merge two contents that started from ``base``: text by lines, ``{"files": {path: text}}`` by file, else JSON."""
    if ours == theirs:
        return Merged(True, ours, (), disjoint=True)
    if any(_lines(content) > MAX_LINES for content in (base, ours, theirs)):
        return Merged(False, None, [{"type": "too_large", "max_lines": MAX_LINES}])
    try:
        return _merged(base, ours, theirs, Effort(MAX_STEPS))
    except TooMuchEffort:
        return Merged(False, None, [{"type": "too_different"}])


def _merged(base: Any, ours: Any, theirs: Any, effort: Effort) -> Merged:
    if isinstance(base, str) and isinstance(ours, str) and isinstance(theirs, str):
        text = merge_text(base, ours, theirs, effort=effort)
        return Merged(text.clean, text.merged, _shown(text.conflicts), disjoint=base in (ours, theirs))
    if is_files(base) and is_files(ours) and is_files(theirs):
        files = merge_files(base["files"], ours["files"], theirs["files"], effort=effort)
        disjoint = _disjoint(base["files"], ours["files"], theirs["files"])
        return Merged(files.clean, {"files": files.merged}, _shown(files.conflicts), disjoint=disjoint)
    document = merge_json(base, ours, theirs, effort=effort)
    return Merged(document.clean, document.merged, _shown(document.conflicts), disjoint=_disjoint(base, ours, theirs))


def _shown(conflicts: Iterable[Any]) -> list[Any]:
    return [msgspec.to_builtins(conflict) for conflict in conflicts]


def _disjoint(base: Any, ours: Any, theirs: Any) -> bool:
    """True where no member (or file) was changed on both sides: one change can simply be made after the other."""
    if base in (ours, theirs):
        return True
    if not (isinstance(base, dict) and isinstance(ours, dict) and isinstance(theirs, dict)):
        return False
    return not _changed(base, ours) & _changed(base, theirs)


def _changed(base: dict[str, Any], side: dict[str, Any]) -> set[str]:
    both = base.keys() & side.keys()
    return (base.keys() ^ side.keys()) | {name for name in both if base[name] != side[name]}


def _lines(content: Any) -> int:
    """Return how many lines all text in ``content`` has; what is nested, and elements of lists, count too."""
    stack, lines = [content], 0
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            lines += value.count("\n")
        elif isinstance(value, dict):
            stack += value.values()
        elif isinstance(value, list):
            lines += _LINES_OF_AN_ELEMENT * len(value)
            stack += value
    return lines


def is_files(content: Any) -> bool:
    """True for the file-list form: one key, ``files``, with path → text."""
    if not isinstance(content, dict) or content.keys() != {"files"} or not isinstance(content["files"], dict):
        return False
    return all(isinstance(text, str) for text in content["files"].values())
