"""Payloads as agents really handle them: files, traces, tables, letters, chats; in text and as members of JSON."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from tests.challenge.case import Case
from tests.challenge.drawn import filled, situations

#: Set ``d`` was written before the rules were changed and then looked at; set ``f`` after, and is only measured.
FILES = {
    "d": ("secrets_in_files", "people_in_documents", "business_and_knowledge"),
    "f": ("written_afterwards",),
}


def drawn(seed: int, each: int = 2, chosen: str = "d") -> Iterator[Case]:
    """Yield each situation, filled anew each time; now and then as a member of a JSON value."""
    chance = random.Random(seed)
    for name in FILES[chosen]:
        for situation in situations(name):
            for _ in range(2 * each if situation.family == "vendor" else each):
                text = filled(situation.text, chance)
                if text[0] not in "{[" and chance.random() < 0.2:
                    text = json.dumps({"role": "tool", "content": text}, ensure_ascii=chance.random() < 0.5)
                yield Case(text, situation.family, situation.label)
