"""PSMP's numbers that need no running MetaQore: merges, measured against git and against what people committed.

The data is what ``METAQORE_TEST_DATA`` names (``merges.jsonl.gz``, ``json_merges.jsonl.gz``); without it nothing is
measured, and that is said.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from metaqore.psmp.merge import merge_json, merge_text
from metaqore.psmp.merge_json import same_json

DATA = Path(os.environ.get("METAQORE_TEST_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
_ROUNDS = 3

Row = dict[str, Any]


def measure() -> dict[str, float]:
    """Return every number of this module that can be measured here."""
    texts, documents = _rows("merges.jsonl.gz"), _rows("json_merges.jsonl.gz")
    numbers: dict[str, float] = {}
    if texts:
        numbers |= text_agreement(texts) | text_time(texts)
    if documents:
        numbers |= json_agreement(documents)
    return numbers


def _rows(name: str) -> list[Row]:
    path = DATA / name
    if not path.exists():
        print(f"merges are not measured: set METAQORE_TEST_DATA to the folder of {name}", flush=True)
        return []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def text_agreement(rows: Sequence[Row]) -> dict[str, float]:
    """Compare our merges of text with git's, and where git gives up, with what people committed.

    ``merge_false_clean`` counts merges that are clean where git says conflict and people committed something else;
    ``merge_git_clean_share`` is the share of git's clean merges that are clean here, with git's text.
    """
    agreed, false_clean, clean = 0, 0, 0
    for row in rows:
        result = merge_text(row["base"], row["ours"], row["theirs"])
        if row["git"] == "clean":
            clean += 1
            agreed += result.clean and result.merged == row["git_merged"]
        elif result.clean and result.merged != row["merged"]:
            false_clean += 1
    return {"merge_false_clean": float(false_clean), "merge_git_clean_share": agreed / clean if clean else 1.0}


def text_time(rows: Sequence[Row]) -> dict[str, float]:
    """Time our merges against ``git merge-file -p`` on the same cases, each case in turn.

    ``merge_text_ratio_git`` is the sum of the medians of ours over that of git's, which starts a process for each.
    """
    git = shutil.which("git")
    if git is None:
        print("merge_text_ratio_git is not measured: there is no git", flush=True)
        return {}
    ours: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory(prefix="mq-merge-") as place:
        folder = Path(place)
        for row in rows:
            took: list[tuple[float, float]] = []
            for _ in range(_ROUNDS):
                began = time.perf_counter()
                merge_text(row["base"], row["ours"], row["theirs"])
                took.append((time.perf_counter() - began, _git(git, folder, row)))
            ours.append(statistics.median(mine for mine, _ in took))
            theirs.append(statistics.median(its for _, its in took))
    return {
        "merge_text_ms": 1000 * sum(ours) / len(rows),
        "merge_git_ms": 1000 * sum(theirs) / len(rows),
        "merge_text_ratio_git": sum(ours) / sum(theirs),
    }


def _git(git: str, folder: Path, row: Row) -> float:
    """Return the seconds that git takes; the files are written before."""
    for name in ("base", "ours", "theirs"):
        (folder / name).write_text(row[name], encoding="utf-8", newline="")
    began = time.perf_counter()
    command = [git, "merge-file", "-p", "-q", "ours", "base", "theirs"]
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=False)
    return time.perf_counter() - began


def json_agreement(rows: Sequence[Row]) -> dict[str, float]:
    """Compare our merges of documents with the labels; where both sides changed a list, better is right, too."""
    right = sum(_is_right(row) for row in rows)
    return {"merge_json_share": right / len(rows)}


def _is_right(row: Row) -> bool:
    result = merge_json(row["base"], row["ours"], row["theirs"])
    expected = sorted((each["pointer"], each["type"]) for each in row.get("conflicts") or ())
    if not result.clean:
        return expected == sorted((each.pointer, each.type) for each in result.conflicts)
    if row["truth"] == "conflict":
        in_a_list = any(kind == "array/array" for _, kind in expected)
        return in_a_list and same_json(row.get("merged"), result.merged)
    return same_json(row["expected"], result.merged)


def main() -> int:
    """``python -m tests.bench.psmp_numbers``: these numbers alone."""
    for name, value in sorted(measure().items()):
        print(f"{name:34} {value:12.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
