"""Measure SecureGateway: ``python -m metaqore.security.training.evaluate --data FOLDER``.

Labels and attacks are measured with the packaged weights, on the files that they were trained with; what they do on
unseen groups is printed by ``train``. Times are of this machine and process.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from metaqore.security.assessment import assess
from metaqore.security.model import Context, Label, Position
from metaqore.security.training.corpus import rows

_BYTES = 4096


def labels(data: Path) -> dict[str, float]:
    """Return recall and precision of CRITICAL and macro-F1 of the four labels."""
    pairs = [(Label[row["label"]], assess(row["text"]).label) for row in rows(data / "sensitivity.jsonl.gz")]
    scores = {}
    for label in Label:
        right = sum(pair == (label, label) for pair in pairs)
        precision = right / max(1, sum(said is label for _, said in pairs))
        recall = right / max(1, sum(truth is label for truth, _ in pairs))
        scores[label] = (precision, recall, 2 * precision * recall / max(1e-9, precision + recall))
    return {
        "security_critical_recall": scores[Label.CRITICAL][1],
        "security_critical_precision": scores[Label.CRITICAL][0],
        "security_macro_f1": sum(f1 for *_, f1 in scores.values()) / len(scores),
    }


def attacks(data: Path) -> dict[str, float]:
    """Return recall of attacks, of disguised ones and of the worst family, and the share of innocent texts flagged."""
    source = rows(data / "attacks.jsonl.gz")
    caught = [bool(assess(row["text"], Context(position=Position(row["position"]))).threats) for row in source]

    def share(chosen: Callable[[dict[str, Any]], bool]) -> float:
        hits = [hit for row, hit in zip(source, caught, strict=True) if chosen(row)]
        return sum(hits) / max(1, len(hits))

    def of(family: str) -> Callable[[dict[str, Any]], bool]:
        return lambda row: row["family"] == family

    families = {row["family"] for row in source if row["label"] == "attack"}
    return {
        "security_attack_recall": share(lambda row: row["label"] == "attack"),
        "security_attack_recall_disguised": share(
            lambda row: row["label"] == "attack" and row["transform"] is not None
        ),
        "security_attack_recall_worst_family": min(share(of(family)) for family in families),
        "security_attack_false_positives": share(lambda row: row["label"] == "benign"),
    }


def times(data: Path) -> dict[str, float]:
    """Return milliseconds: median and p99 of 4 kB mixtures of both files, and of 1 MiB of ``a!``."""
    source = [row["text"] for name in ("attacks", "sensitivity") for row in rows(data / f"{name}.jsonl.gz")]
    chooser = random.Random(1)
    payloads = []
    for _ in range(1200):
        text = ""
        while len(text) < _BYTES:
            text += chooser.choice(source) + "\n"
        payloads.append(text[:_BYTES])
    # The first ones build automata and caches that the rest of a worker's life uses.
    taken = sorted([_milliseconds(payload) for payload in payloads][200:])
    return {
        "security_assess_4k_p50_ms": taken[len(taken) // 2],
        "security_assess_4k_p99_ms": taken[int(len(taken) * 0.99)],
        "security_assess_1m_a_ms": min(_milliseconds("a!" * (1 << 19)) for _ in range(3)),
    }


def _milliseconds(payload: str) -> float:
    start = time.process_time()
    assess(payload)
    return 1000 * (time.process_time() - start)


def main(arguments: Sequence[str]) -> None:
    """Print every figure under its name."""
    parser = argparse.ArgumentParser(description="Measure SecureGateway.")
    parser.add_argument("--data", type=Path, required=True, help="folder of attacks.jsonl.gz and sensitivity.jsonl.gz")
    data = parser.parse_args(arguments).data
    for name, value in (labels(data) | attacks(data) | times(data)).items():
        sys.stdout.write(f"{name:40} {value:.4f}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
