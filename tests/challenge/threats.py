"""Attacks and what only looks like one."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.challenge import hosts
from tests.challenge.case import Case, sentences
from tests.challenge.disguises import DISGUISES, FOR_ANY_SCRIPT

_INDIRECT = ("tool_output", "memory", "artifact")
_FOREIGN_SCRIPTS = ("ru", "zh", "ja")


def attacks(chosen: str, seed: int, planted: int = 2, disguised: int = 3) -> Iterator[Case]:
    """Yield each attack as it is, in other surroundings, and disguised.

    Args:
        chosen: The set of sentences.
        planted: How often each that may come from a third party stands in an innocent text.
        disguised: How many disguises each gets.
    """
    chance = random.Random(seed)
    for family, language, positions, text in sentences("attacks", chosen):
        where = ("user",) if positions == "u" else _INDIRECT
        yield Case(text, family, attack=True, position=chance.choice(where))
        if positions == "b":
            yield Case(text, family, attack=True, position="user")
        for _ in range(planted if positions != "u" else 0):
            position = chance.choice(_INDIRECT)
            yield Case(hosts.planted(text, chance), f"{family} planted", attack=True, position=position)
        names = FOR_ANY_SCRIPT if language in _FOREIGN_SCRIPTS else tuple(DISGUISES)
        for name in chance.sample(names, min(disguised, len(names))):
            hidden = DISGUISES[name](text, chance)
            yield Case(hidden, family, attack=True, position=chance.choice(where), disguise=name)


def innocent(chosen: str, seed: int, hosts_of_each: int = 40) -> Iterator[Case]:
    """Yield look-alikes, alone, in other surroundings and disguised, and innocent tool outputs."""
    chance = random.Random(seed)
    for positions, text in sentences("innocent", chosen):
        where = ("user",) if positions == "u" else _INDIRECT
        yield Case(text, "look-alike", attack=False, position=chance.choice(where))
        yield Case(hosts.planted(text, chance), "look-alike planted", attack=False, position=chance.choice(_INDIRECT))
        if text.isascii():
            name = chance.choice(tuple(DISGUISES))
            hidden = DISGUISES[name](text, chance)
            yield Case(hidden, "look-alike disguised", attack=False, position=chance.choice(where), disguise=name)
    for make in (hosts.prose, hosts.log, hosts.code, hosts.rows):
        for _ in range(hosts_of_each):
            text = make(chance, chance.randint(4, 40))
            yield Case(text, f"{make.__name__} of tools", attack=False, position=chance.choice(_INDIRECT))
