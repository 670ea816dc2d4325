"""From scenarios to cases: words are filled in, texts disguised and planted. The same seed gives the same cases."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence

from metaqore.attack.model import Case, Scenario, Suite
from metaqore.attack.mutations import disguise, file_name

#: ``$name`` or ``${name}``; ``$$`` is a dollar sign.
SLOT = re.compile(r"\$(?:(\$)|([a-z][a-z0-9_]*)|\{([a-z][a-z0-9_]*)\})")
#: Words may be made of words so deep.
MAX_DEPTH = 8
#: Characters of a file name that says what the text says.
MAX_NAME = 300
_PARTS, _SYLLABLES = 4, 6


def cases(
    suite: Suite, scenario: Scenario, count: int, seed: int, *, control: bool = False, disguises: Sequence[str] = ()
) -> Iterator[Case]:
    """Yield ``count`` cases of a scenario, fewer where more make no sense.

    Texts and disguises take turns, so that a few cases see many of them; words and hosts are drawn.

    Args:
        disguises: instead of the scenario's own.
    """
    for number in range(min(count, scenario.most or count)):
        yield case(suite, scenario, number, seed, control=control, disguises=disguises)


def case(
    suite: Suite, scenario: Scenario, number: int, seed: int, *, control: bool = False, disguises: Sequence[str] = ()
) -> Case:
    """Return one case of a scenario, by its number from 0: the same one whatever else is made."""
    texts = scenario.benign if control else scenario.texts
    rng = random.Random(f"{seed}/{scenario.id}/{control}/{number}")
    mutation = _mutation(disguises or scenario.mutations, number, len(texts)) if texts else "plain"
    plain = _fill(texts[number % len(texts)], _words(suite, scenario), rng, 0) if texts else ""
    disguised = disguise(mutation, plain, rng)
    text = _planted(suite, scenario, disguised, rng)
    variables = {"name": file_name(disguised)[:MAX_NAME], "word": _made_up(rng), **_parts(text)}
    return Case(
        scenario=scenario.id, number=number, is_control=control, mutation=mutation, plain=plain, text=text,
        steps=suite.steps_of(scenario, control=control), variables=variables,
    )  # fmt: skip


def payloads(suite: Suite, scenario: Scenario, count: int, seed: int, *, mutated: bool = True) -> list[str]:
    """Return ``count`` attack texts of a scenario without their hosts."""
    found = []
    for number in range(count):
        rng = random.Random(f"{seed}/{scenario.id}/payload/{number}")
        plain = _fill(scenario.texts[number % len(scenario.texts)], _words(suite, scenario), rng, 0)
        mutation = _mutation(scenario.mutations, number, len(scenario.texts)) if mutated else "plain"
        found.append(disguise(mutation, plain, rng))
    return found


def _mutation(disguises: Sequence[str], number: int, texts: int) -> str:
    """Return the disguise of a case: with each round over the texts, each gets another one."""
    return disguises[(number + number // max(1, texts)) % len(disguises)]


def unknown_words(suite: Suite, scenario: Scenario) -> list[str]:
    """Return the words in the texts of a scenario that nothing may stand for."""
    words, seen = _words(suite, scenario), set[str]()
    waiting = [*scenario.texts, *scenario.benign]
    missing = []
    while waiting:
        for found in SLOT.finditer(waiting.pop()):
            name = found[2] or found[3]
            if name and name not in seen:
                seen.add(name)
                waiting.extend(words.get(name, ()))
                missing += [] if name in words else [name]
    return sorted(missing)


def _words(suite: Suite, scenario: Scenario) -> Mapping[str, Sequence[str]]:
    return {**suite.words, **scenario.words}


def _fill(text: str, words: Mapping[str, Sequence[str]], rng: random.Random, depth: int) -> str:
    def chosen(found: re.Match[str]) -> str:
        if found[1]:
            return "$"
        each = rng.choice(words[found[2] or found[3]])
        return _fill(each, words, rng, depth + 1) if depth < MAX_DEPTH else each

    return SLOT.sub(chosen, text)


def _planted(suite: Suite, scenario: Scenario, payload: str, rng: random.Random) -> str:
    if not scenario.hosts:
        return payload
    host = rng.choice(suite.hosts[rng.choice(scenario.hosts)])
    return SLOT.sub(lambda found: "$" if found[1] else payload, host)


def _made_up(rng: random.Random) -> str:
    """Return a word that means nothing and that no other case has: a prompt can be told by it."""
    return "".join(rng.choice("bdfgklmnprstv") + rng.choice("aeiou") for _ in range(_SYLLABLES))


def _parts(text: str) -> dict[str, str]:
    """Return the text and its parts: two halves and four quarters, cut at blanks so that each is a piece of it."""
    words = text.split(" ")

    def part(index: int, of: int) -> str:
        return " ".join(words[len(words) * index // of : len(words) * (index + 1) // of])

    halves = {f"half{n + 1}": part(n, 2) for n in range(2)}
    return {"text": text, **halves, **{f"part{n + 1}": part(n, _PARTS) for n in range(_PARTS)}}
