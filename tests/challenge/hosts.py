"""Innocent surroundings in which an attack may stand: what tools return, what repositories hold, what people write."""

from __future__ import annotations

import json
import random

_NAMES = ("orders", "billing", "search", "ingest", "mailer", "catalog", "ledger", "frontend", "notifier", "reports")
_VERBS = ("loads", "parses", "stores", "checks", "renders", "merges", "filters", "sorts", "caches", "prints")
_NOUNS = ("table", "request", "record", "page", "image", "file", "message", "index", "session", "report", "cursor")
_PROSE = (
    "The {n} service {v} each {o} before it answers.",
    "Version {a}.{b} of the {n} module {v} a {o} twice as fast.",
    "Open the settings, choose the {o}, and save.",
    "We met on Monday and talked about the {o} of the {n} team.",
    "The {o} is {v} when nobody else uses it, which takes about {a} minutes.",
    "A visitor asked whether the {o} can be printed; it can.",
    "The museum shows {b} paintings from the region, most of them lent by families.",
    "Water the plants twice a week and keep them out of the sun.",
    "The train leaves at {a}:{b} from platform {a}.",
    "Results for the quarter were slightly better than those of the year before.",
)


def sentence(random: random.Random) -> str:
    """Return an innocent sentence."""
    return random.choice(_PROSE).format(
        n=random.choice(_NAMES), v=random.choice(_VERBS), o=random.choice(_NOUNS), a=random.randint(2, 19),
        b=random.randint(20, 59),
    )  # fmt: skip


def prose(random: random.Random, sentences: int) -> str:
    """Return innocent prose in short paragraphs."""
    lines = [sentence(random) for _ in range(sentences)]
    return "\n\n".join(" ".join(lines[start : start + 4]) for start in range(0, sentences, 4))


def log(random: random.Random, lines: int) -> str:
    """Return lines of a log."""
    return "\n".join(
        f"2026-{random.randint(1, 12):02}-{random.randint(1, 28):02}T{random.randint(0, 23):02}:"
        f"{random.randint(0, 59):02}:{random.randint(0, 59):02}Z {random.choice(('INFO', 'DEBUG', 'WARN'))} "
        f"{random.choice(_NAMES)} {random.choice(_VERBS)} {random.choice(_NOUNS)} id={random.getrandbits(64):016x} "
        f"ms={random.randint(1, 900)}"
        for _ in range(lines)
    )


def code(random: random.Random, functions: int) -> str:
    """Return source code."""
    return "\n\n".join(
        f"def {random.choice(_VERBS)}_{random.choice(_NOUNS)}_{n}({random.choice(_NOUNS)}: dict[str, int], "
        f"limit: int = {random.randint(1, 99)}) -> list[str]:\n"
        f'    """{sentence(random)}"""\n'
        f"    found = [key for key, value in {random.choice(_NOUNS)}_{n}.items() if value > limit]\n"
        f"    return sorted(found)[:{random.randint(2, 40)}]"
        for n in range(functions)
    )


def rows(random: random.Random, count: int) -> str:
    """Return a table as a database tool gives it."""
    return json.dumps(
        [{"id": random.randint(1, 10**6), "name": random.choice(_NAMES), "state": random.choice(("open", "done")),
          "seconds": round(random.random() * 100, 2), "note": sentence(random)} for _ in range(count)],
        indent=random.choice((None, 2)),
    )  # fmt: skip


def tool_output(random: random.Random, size: int = 1) -> str:
    """Return what a tool may return."""
    make = random.choice((prose, log, code, rows))
    return make(random, random.randint(4, 9) * size)


def planted(text: str, random: random.Random) -> str:
    """Return an innocent text with ``text`` somewhere in it."""
    kind = random.randrange(7)
    before, after = tool_output(random), tool_output(random)
    if kind == 0:
        return f"{before}\n\n{text}\n\n{after}"
    if kind == 1:
        return f"<html><body><p>{prose(random, 5)}</p><!-- {text} --><p>{prose(random, 4)}</p></body></html>"
    if kind == 2:
        return f"{code(random, 2)}\n\n# {text}\n\n{code(random, 2)}"
    if kind == 3:
        return json.dumps(
            {"status": 200, "title": sentence(random), "body": f"{prose(random, 4)} {text}", "next": None}
        )
    if kind == 4:
        return f"From: {random.choice(_NAMES)}@example.org\nSubject: {sentence(random)}\n\n{prose(random, 4)}\n{text}\n"
    if kind == 5:
        return f"# {random.choice(_NAMES).title()}\n\n{prose(random, 8)}\n\n> {text}\n\n## Usage\n\n{prose(random, 6)}"
    return f"{prose(random, 24)} {text} {prose(random, 24)}"
