"""The suite as HMCP's gate meets it: texts that attack a specialist, and texts that are none of its business."""

from __future__ import annotations

import random
from collections.abc import Sequence

from metaqore.attack.generate import payloads
from metaqore.attack.model import Suite


class SuiteAdversary:
    """Fills ``metaqore.hmcp.ports.Adversary``."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self._hostile = [
            each for each in suite.scenarios if each.texts and each.for_specialists and not each.known_limit
        ]

    def hostile(self, count: int, seed: int) -> Sequence[tuple[str, str]]:
        """Return (family/scenario, text): attacks, all scenarios in turn, disguised as the scenarios say."""
        turns = -(-count // len(self._hostile)) if self._hostile else 0
        rounds = [payloads(self._suite, scenario, turns, seed) for scenario in self._hostile]
        found = [
            (f"{scenario.families[0]}/{scenario.id}", texts[turn])
            for turn in range(turns)
            for scenario, texts in zip(self._hostile, rounds, strict=True)
        ]
        return found[:count]

    def foreign(self, count: int, seed: int) -> Sequence[str]:
        """Return texts of other subjects, each once; fewer than ``count`` where there are not more."""
        texts = sorted(self._suite.foreign)
        random.Random(seed).shuffle(texts)
        return texts[:count]
