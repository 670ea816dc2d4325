"""SecureGateway on labelled payloads: what it labels right, which attacks it finds, and how long it takes."""

from __future__ import annotations

import os
from pathlib import Path

from metaqore.security import assess
from metaqore.security.training import evaluate
from tests.challenge import measure
from tests.unit.security.test_hostile import HOSTILE, seconds

#: Where the labelled payloads are: the same folder that tests/unit/security/test_data.py reads.
DATA = Path(os.environ.get("METAQORE_TEST_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")


def numbers(data: Path = DATA) -> dict[str, float]:
    """Return the figures ``security_*``; those of the labelled payloads where these are there, which is said."""
    challenge = measure.numbers() | hostile()
    if not (data / "attacks.jsonl.gz").exists():
        print(f"security_*: no labelled payloads in {data}: set METAQORE_TEST_DATA", flush=True)
        return challenge
    return evaluate.labels(data) | evaluate.attacks(data) | evaluate.times(data) | challenge


def hostile(size: int = 1 << 18) -> dict[str, float]:
    """Return seconds for a MiB of the slowest of the texts that are written to be slow, from a quarter of one."""
    assess("The first one builds what all use.")
    slowest = max(min(seconds(assess, make(size)) for _ in range(2)) for make in HOSTILE.values())
    return {"security_assess_hostile_s_per_mib": slowest * (1 << 20) / size}
