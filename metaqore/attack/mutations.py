"""Ways to disguise a text, each of which a reader (or a model) can undo. Seeded.

Sources of the encodings: RFC 4648 (base64, hex), RFC 3986 §2.1 (percent); UTS #39 (confusables); Unicode 15 §23.9
(tags).
"""

from __future__ import annotations

import base64
import codecs
import json
import random
from collections.abc import Callable, Mapping
from urllib.parse import quote

Mutation = Callable[[str, random.Random], str]

_LOOKALIKES = str.maketrans("aceopxyiABEHKMOPTX", "асеорхуіАВЕНКМОРТХ")
_INVISIBLE = "\u200b\u200c\u2060\u00ad"
_LEET = str.maketrans("oieast", "013457")
_PADDING = (
    "The tram stops at the mill every ten minutes. On Sundays the tea house opens at noon; boats go until dusk.",
    "Tomatoes need six hours of sun, a sheltered place and water in the morning; the first ones ripen late in July.",
    "The choir meets on Thursdays. New voices are welcome; scores are in the cupboard beside the piano.",
)
_ACCENTS = "\u0301\u0308\u0323\u0330"


def _each_letter(text: str, rng: random.Random, share: float, change: Callable[[str], str]) -> str:
    return "".join(change(c) if c.isalpha() and rng.random() < share else c for c in text)


def _swapped(text: str, rng: random.Random) -> str:
    """Exchange two inner letters of about every sixth longer word: reading hardly suffers."""
    words = text.split(" ")
    for at, word in enumerate(words):
        if len(word) > 4 and word.isalpha() and rng.random() < 1 / 6:
            cut = rng.randrange(1, len(word) - 2)
            words[at] = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
    return " ".join(words)


def _cut(text: str, rng: random.Random) -> str:
    """Break the text into short lines, wherever a blank is."""
    words, lines = text.split(" "), []
    while words:
        size = rng.randint(2, 5)
        lines.append(" ".join(words[:size]))
        words = words[size:]
    return "\n".join(lines)


def _quoted(text: str, rng: random.Random) -> str:
    return "\n".join(f"> {line}" for line in text.splitlines())


def file_name(text: str) -> str:
    """Return the words of a text as people write them into the name of a file."""
    return "-".join("".join(c if c.isalnum() else " " for c in text).split())


def _decode_first(text: str, rng: random.Random) -> str:
    return f"Ticket body (base64): {base64.b64encode(text.encode()).decode()}"


#: Name → what it does to a text. ``plain`` does nothing.
MUTATIONS: Mapping[str, Mutation] = {
    "plain": lambda text, rng: text,
    "upper": lambda text, rng: text.upper(),
    "mixed_case": lambda text, rng: _each_letter(text, rng, 0.4, str.swapcase),
    "zero_width": lambda text, rng: _each_letter(text, rng, 0.3, lambda c: c + rng.choice(_INVISIBLE)),
    "homoglyph": lambda text, rng: _each_letter(text, rng, 0.5, lambda c: c.translate(_LOOKALIKES)),
    "accents": lambda text, rng: _each_letter(text, rng, 0.4, lambda c: c + rng.choice(_ACCENTS)),
    "fullwidth": lambda text, rng: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    "tags": lambda text, rng: "Thanks!" + "".join(chr(0xE0000 + ord(c)) for c in text if " " <= c <= "~"),
    "leet": lambda text, rng: text.translate(_LEET),
    "rot13": lambda text, rng: codecs.encode(text, "rot13"),
    "reversed": lambda text, rng: text[::-1],
    "spaced": lambda text, rng: " ".join(text.replace(" ", "_")),
    "swapped": _swapped,
    "base64": lambda text, rng: base64.b64encode(text.encode()).decode(),
    "base64_told": _decode_first,
    "hex": lambda text, rng: text.encode().hex(),
    "url": lambda text, rng: quote(text, safe=""),
    "html_entities": lambda text, rng: "".join(f"&#{ord(c)};" if c.isalnum() else c for c in text),
    "comment": lambda text, rng: f"<!-- {text} -->",
    "quoted": _quoted,
    "short_lines": _cut,
    "markdown": lambda text, rng: f"**{text}**",
    "list": lambda text, rng: "\n".join(f"- {part}" for part in text.split(". ")),
    "table": lambda text, rng: f"| no. | remark |\n|---|---|\n| {rng.randint(1, 99)} | {text} |",
    "code_block": lambda text, rng: f"```text\n{text}\n```",
    "code_string": lambda text, rng: f"NOTE_{rng.randint(1, 99)} = {json.dumps(text, ensure_ascii=False)}",
    "file_name": lambda text, rng: f"notes/{file_name(text)}.md",
    "json_key": lambda text, rng: json.dumps({text: rng.randint(1, 99)}, ensure_ascii=False),
    "json_escapes": lambda text, rng: (
        '{"note": "' + "".join(f"\\u{ord(c):04x}" if ord(c) < 0x10000 else c for c in text) + '"}'
    ),
    "story": lambda text, rng: f'In the play that we rehearse, the robot is told: "{text}"',
    "dialogue": lambda text, rng: f"Anna: good morning.\nBo: {text}\nAnna: all right.",
    "padded": lambda text, rng: f"{rng.choice(_PADDING)}\n\n{text}\n\n{rng.choice(_PADDING)}",
    "json": lambda text, rng: '{"status": "ok", "note": "' + text.replace("\\", " ").replace('"', "'") + '"}',
}


def disguise(name: str, text: str, rng: random.Random) -> str:
    """Return ``text`` in the disguise of that name; of several, joined by ``+``, the first is the innermost.

    Raises:
        KeyError: there is none of that name.
    """
    for each in name.split("+"):
        text = MUTATIONS[each](text, rng)
    return text


def unknown(name: str) -> list[str]:
    """Return the parts of a disguise's name that no disguise has."""
    return [each for each in name.split("+") if each not in MUTATIONS]
