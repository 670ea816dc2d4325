"""Merges that people made: ``merges.jsonl.gz`` and ``json_merges.jsonl.gz`` of the test data."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from metaqore.psmp.merge import merge_json, merge_text
from metaqore.psmp.merge_json import same_json

DATA = Path(os.environ.get("METAQORE_TEST_DATA") or Path(__file__).resolve().parents[4] / "shared" / "data")


def rows(name: str) -> list[dict[str, Any]]:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the test data is not here: set METAQORE_TEST_DATA to the folder of {name}")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_text_is_clean_where_git_says_so_and_with_its_text() -> None:
    clean = [row for row in rows("merges.jsonl.gz") if row["git"] == "clean"]

    results = [merge_text(row["base"], row["ours"], row["theirs"]) for row in clean]

    differing = [
        row["id"]
        for row, result in zip(clean, results, strict=True)
        if not result.clean or result.merged != row["git_merged"]
    ]
    assert differing == []


def test_text_is_in_conflict_where_git_says_so_and_as_often() -> None:
    conflicting = [row for row in rows("merges.jsonl.gz") if row["git"] == "conflict"]

    found = [len(merge_text(row["base"], row["ours"], row["theirs"]).conflicts) for row in conflicting]

    assert [row["git_conflicts"] for row in conflicting] == found


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.alone
def test_merging_text_takes_no_longer_than_calling_git(tmp_path: Path) -> None:
    cases = rows("merges.jsonl.gz")[:60]
    ours_s = git_s = 0.0
    for row in cases:
        for name in ("base", "ours", "theirs"):
            (tmp_path / name).write_text(row[name], encoding="utf-8", newline="")
        started = time.perf_counter()
        subprocess.run(
            ["git", "merge-file", "-p", "-q", "ours", "base", "theirs"],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            check=False,
        )
        between = time.perf_counter()
        merge_text(row["base"], row["ours"], row["theirs"])
        git_s += between - started
        ours_s += time.perf_counter() - between

    assert ours_s <= git_s


def test_json_follows_the_labels_and_betters_them_in_arrays_only_as_people_did() -> None:
    wrong = []
    bettered = 0
    for row in rows("json_merges.jsonl.gz"):
        result = merge_json(row["base"], row["ours"], row["theirs"])
        expected = sorted((each["pointer"], each["type"]) for each in row.get("conflicts") or ())
        if result.clean and row["truth"] == "conflict":
            right = any(kind == "array/array" for _, kind in expected)
            right = right and same_json(row.get("merged"), result.merged)
            bettered += right
        elif result.clean:
            right = same_json(row["expected"], result.merged)
        else:
            right = expected == sorted((each.pointer, each.type) for each in result.conflicts)
        if not right:
            wrong.append(row["id"])

    assert wrong == []
    assert bettered >= 40
