"""A specialist on labelled payloads: the share of calls it answers, the tokens that saves, and what it costs to ask."""

from __future__ import annotations

import gzip
import os
import random
import time
from pathlib import Path

import msgspec

from metaqore.hmcp.artefact import load
from metaqore.hmcp.discover import discover
from metaqore.hmcp.model import TaskEvent
from metaqore.hmcp.policy import load as load_policy
from metaqore.hmcp.train import NotTrainable, train
from metaqore.llm.rules import estimate_tokens

DATA = Path(os.environ.get("METAQORE_TEST_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
POLICY = load_policy(Path(__file__).resolve().parents[2] / "config" / "hmcp.yaml")
_FRAME = "How sensitive is this payload? Answer with one word.\n\n"
_NOW = 1_800_000_000_000
_BATCH = 16


def numbers(data: Path = DATA) -> dict[str, float]:
    """Return the figures ``hmcp_*``; none where the payloads are not there, which is said."""
    file = data / "sensitivity.jsonl.gz"
    if not file.exists():
        print(f"hmcp_*: no labelled payloads in {data}: set METAQORE_TEST_DATA", flush=True)
        return {}
    events = _events(file)
    first, later = events[:2000], events[2000:]
    began = time.perf_counter()
    [pattern] = discover(first, POLICY, _NOW)
    try:
        specialist = load(train(pattern, first, POLICY).artefact)
    except NotTrainable as error:
        print(f"hmcp_*: {error.message}", flush=True)
        return {}
    trained_s = time.perf_counter() - began
    began = time.perf_counter()
    said = [
        prediction
        for at in range(0, len(later), _BATCH)
        for prediction in specialist.predict([event.prompt for event in later[at : at + _BATCH]])
    ]
    asked_s = time.perf_counter() - began
    routed = [(own, event) for own, event in zip(said, later, strict=True) if own.routed]
    saved = sum(event.tokens for _, event in routed) * (1 - POLICY.discover.trigger.audit_rate)
    wrong = sum(own.answer != event.output for own, event in routed)
    return {
        "hmcp_train_s": trained_s,
        "hmcp_ask_us": asked_s / len(later) * 1e6,
        "hmcp_routed_share": len(routed) / len(later),
        "hmcp_routed_error": wrong / len(routed) if routed else 0.0,
        "hmcp_saved_tokens_share": saved / sum(event.tokens for event in later),
        "hmcp_saved_tokens": saved,
    }


def _events(file: Path) -> list[TaskEvent]:
    """Return the labelled payloads as calls, in an order of their own; the label is the teacher's answer."""
    with gzip.open(file, "rb") as lines:
        rows = [msgspec.json.decode(line) for line in lines]
    random.Random(7).shuffle(rows)
    return [
        TaskEvent(
            organization="bench", agent=f"agent-{nth % 4}", template="sensitivity@bench", prompt=_FRAME + row["text"],
            output=row["label"], tokens=estimate_tokens(_FRAME + row["text"]) + 2, label="PUBLIC",
            at=_NOW - 10_000_000 + nth * 1000,
        )
        for nth, row in enumerate(rows)
    ]  # fmt: skip
