"""Sentences by the thousand from a few templates: the same thing said in many ways, the same ways every time.

A grammar is a text file. ``NAME = one|two`` names a choice; ``family: (Show|Print) <NAME>`` is a template, in which
``(a|b)`` chooses and ``<NAME>`` stands for a choice of that name. A backslash takes the meaning of the next character.
The choices of ``words_grammar.txt`` are those of every grammar.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from importlib.resources import files

_PART = re.compile(r"\\(.)|<([A-Z]+)>|([(|)])|([^\\<(|)]+|<)")


def said(name: str, each: int, seed: int) -> Iterator[tuple[str, str, int]]:
    """Yield (family, sentence, number of its template) from a grammar of this package, equal ones once.

    Args:
        name: ``attacks_grammar`` or ``innocent_grammar``.
        each: How many of each template are tried.
    """
    chance, seen = random.Random(seed), set()
    shared, _ = _read("words_grammar")
    own, templates = _read(name)
    names = shared | own
    for number, (family, template) in enumerate(templates):
        for _ in range(each):
            sentence = re.sub(r"\s+", " ", _choose(template, names, chance)).strip()
            # Sentences begin with a capital letter more often than not.
            sentence = sentence[0].upper() + sentence[1:] if chance.random() < 0.8 else sentence
            if sentence not in seen:
                seen.add(sentence)
                yield family, sentence, number


def _read(name: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    text = (files("metaqore.security.training") / f"{name}.txt").read_text("utf-8")
    names, templates = {}, []
    for line in text.splitlines():
        if match := re.match(r"([A-Z]+) = (.*)", line):
            names[match[1]] = f"({match[2]})"
        elif line and not line.startswith("#"):
            family, _, template = line.partition(": ")
            templates.append((family, template))
    return names, templates


def _choose(template: str, names: dict[str, str], chance: random.Random) -> str:
    """Return a template with one of each choice. Parentheses nest."""
    #: For each open parenthesis its alternatives so far, each a list of pieces.
    stack: list[list[list[str]]] = [[[]]]
    for escaped, name, sign, text in _PART.findall(template):
        if sign == "(":
            stack.append([[]])
        elif sign == "|" and len(stack) > 1:
            stack[-1].append([])
        elif sign == ")" and len(stack) > 1:
            stack[-2][-1].append("".join(chance.choice(stack.pop())))
        elif name in names:
            stack[-1][-1].append(_choose(names[name], names, chance))
        else:
            stack[-1][-1].append(escaped or sign or text or f"<{name}>")
    return "".join(stack[0][0])
