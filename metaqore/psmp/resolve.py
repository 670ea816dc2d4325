"""Carrying out what a conflict's strategy suggests, where that is safe: the three-way merge of contents. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from metaqore.psmp.merge import merge_files, merge_json, merge_text
from metaqore.psmp.model import Merged

#: Most lines of a text that is merged inside the deciding transaction; hostile texts of this size take about 0.2 s,
#: and the write lock is held meanwhile. Larger ones are for ``metaqore merge`` and a person.
MAX_LINES = 4000


def merge_contents(base: Any, ours: Any, theirs: Any) -> Merged:
    """Merge two contents that started from ``base``: text by lines, ``{"files": {path: text}}`` by file, else JSON."""
    if ours == theirs:
        return Merged(True, ours, ())
    if any(_lines(content) > MAX_LINES for content in (base, ours, theirs)):
        return Merged(False, None, [{"type": "too_large", "max_lines": MAX_LINES}])
    if isinstance(base, str) and isinstance(ours, str) and isinstance(theirs, str):
        text = merge_text(base, ours, theirs)
        return Merged(text.clean, text.merged, [msgspec.to_builtins(c) for c in text.conflicts])
    if _is_files(base) and _is_files(ours) and _is_files(theirs):
        files = merge_files(base["files"], ours["files"], theirs["files"])
        return Merged(files.clean, {"files": files.merged}, [msgspec.to_builtins(c) for c in files.conflicts])
    document = merge_json(base, ours, theirs)
    return Merged(document.clean, document.merged, [msgspec.to_builtins(c) for c in document.conflicts])


def _lines(content: Any) -> int:
    """Return how many lines all text in ``content`` has; what is nested counts too."""
    stack, lines = [content], 0
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            lines += value.count("\n")
        elif isinstance(value, dict):
            stack += value.values()
        elif isinstance(value, list):
            lines += len(value)
            stack += value
    return lines


def _is_files(content: Any) -> bool:
    """True for the file-list form: one key, ``files``, with path → text."""
    if not isinstance(content, dict) or content.keys() != {"files"} or not isinstance(content["files"], dict):
        return False
    return all(isinstance(text, str) for text in content["files"].values())
