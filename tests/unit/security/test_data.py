"""The packaged rules and weights on the data that they were made with: a change that forgets something shows here.

How they do on unseen groups is what ``metaqore.security.training.train`` prints.
"""

from __future__ import annotations

import gzip
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from metaqore.security import assess
from metaqore.security.model import Context, Position

DATA = Path(os.environ.get("METAQORE_TEST_DATA") or Path(__file__).resolve().parents[4] / "shared" / "data")
LABELS = ("PUBLIC", "INTERNAL", "SENSITIVE", "CRITICAL")


def rows(name: str, every: int) -> list[dict[str, Any]]:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the test data is not here: set METAQORE_TEST_DATA to the folder of {name}")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines][::every]


def test_labels_agree_with_the_labelled_payloads():
    pairs = [(row["label"], assess(row["text"]).label.name) for row in rows("sensitivity.jsonl.gz", 4)]
    score = {}
    for label in LABELS:
        right = sum(pair == (label, label) for pair in pairs)
        score[label] = (
            right / sum(said == label for _, said in pairs),
            right / sum(truth == label for truth, _ in pairs),
        )
    f1 = [2 * precision * recall / (precision + recall) for precision, recall in score.values()]

    assert score["CRITICAL"][1] >= 0.99
    assert score["CRITICAL"][0] >= 0.95
    assert sum(f1) / len(f1) >= 0.95


def test_attacks_are_found_and_innocent_texts_left_alone():
    seen = defaultdict(list)
    for row in rows("attacks.jsonl.gz", 3):
        caught = bool(assess(row["text"], Context(position=Position(row["position"]))).threats)
        seen[row["label"], row["family"], row["transform"] is not None].append(caught)

    def share(label: str, family: str | None = None, transformed: bool | None = None) -> float:
        chosen = [c for (kind, of, t), all_of in seen.items() for c in all_of
                  if kind == label and family in (None, of) and transformed in (None, t)]  # fmt: skip
        return sum(chosen) / len(chosen)

    assert share("attack") >= 0.90
    assert share("attack", transformed=True) >= 0.80
    assert share("benign") <= 0.01
    assert min(share("attack", family) for label, family, _ in seen if label == "attack") >= 0.60
