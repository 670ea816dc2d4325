"""What kind of answers a task has: only a closed set of answers can be learnt by a small classifier."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from metaqore.canonical import canonical_json
from metaqore.errors import InvalidInput
from metaqore.hmcp.model import OutputType
from metaqore.hmcp.policy import Output


def canonical_answer(output: str) -> str:
    """Return the form in which answers are compared: JSON objects in canonical form, other text without the blanks,
    quotes and full stop around it. Case is kept.
    """
    text = output.strip()
    if text.startswith("{"):
        parsed = _json_object(text)
        if parsed is not None:
            return canonical_json(parsed).decode()
    return text.rstrip(".").strip("\"'`").rstrip(".").strip()


def output_type(outputs: Sequence[str], policy: Output) -> OutputType:
    """Return the type of a task's answers.

    Answers given at least ``min_label_events`` times are labels. They are a closed set where there are at most
    ``max_labels`` of them, none longer than ``max_label_chars``, and together they cover ``min_mass`` of all answers.
    JSON objects are compared as a whole, whatever the order of their members.
    """
    counts = Counter(map(canonical_answer, outputs))
    labels = [label for label, count in counts.most_common() if count >= policy.min_label_events]
    mass = sum(counts[label] for label in labels) / len(outputs) if outputs else 0.0
    closed = (
        0 < len(labels) <= policy.max_labels
        and mass >= policy.min_mass
        and all(0 < len(label) <= policy.max_label_chars for label in labels)
    )
    fields = _fields(list(counts))
    if not closed:
        return OutputType("json_fields" if fields else "free_text", (), mass, fields)
    if len(labels) == 1:
        return OutputType("constant", tuple(labels), mass, fields)
    return OutputType("json_fields" if fields else "closed_label_set", tuple(labels), mass, fields)


def _fields(answers: Sequence[str]) -> dict[str, int]:
    """Return field → number of different values where every answer is an object with the same fields, else {}."""
    objects = [_json_object(answer) for answer in answers]
    first = objects[0] if objects else None
    if not first:
        return {}
    values: dict[str, set[bytes]] = {name: set() for name in first}
    for each in objects:
        if each is None or each.keys() != values.keys():
            return {}
        for name, value in each.items():
            values[name].add(canonical_json(value))
    return {name: len(seen) for name, seen in values.items()}


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        parsed = json.loads(text)
        canonical_json(parsed)
    except (ValueError, RecursionError, InvalidInput):
        return None
    return parsed if isinstance(parsed, dict) else None
