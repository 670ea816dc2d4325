"""Three-way merges: two successors of one base become one, or say where they contradict each other.

* ``merge_text``: by lines, with the answers of ``git merge-file``.
* ``merge_json``: by member, arrays by the identity of their elements.
* ``merge_files``: per file.

All are pure functions of their arguments.
"""

from __future__ import annotations

from metaqore.psmp.merge_files import FileConflict, merge_files
from metaqore.psmp.merge_json import JsonConflict, merge_json
from metaqore.psmp.merge_result import MergeResult, Preference
from metaqore.psmp.merge_text import Labels, TextConflict, merge_text

__all__ = [
    "FileConflict",
    "JsonConflict",
    "Labels",
    "MergeResult",
    "Preference",
    "TextConflict",
    "merge_files",
    "merge_json",
    "merge_text",
]
