"""Ways to disguise a text, each of which a reader (or a model) can undo. Seeded.

Sources of the encodings: RFC 4648 (base64, hex), RFC 3986 §2.1 (percent); UTS #39 (confusables); Unicode 15 §23.9
(tags).
"""

from __future__ import annotations

import base64
import codecs
import random
from collections.abc import Callable, Mapping
from urllib.parse import quote

Mutation = Callable[[str, random.Random], str]

_LOOKALIKES = str.maketrans("aceopxyiABEHKMOPTX", "асеорхуіАВЕНКМОРТХ")
_INVISIBLE = "\u200b\u200c\u2060\u00ad"
_LEET = str.maketrans("oieast", "013457")
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
    "json": lambda text, rng: '{"status": "ok", "note": "' + text.replace("\\", " ").replace('"', "'") + '"}',
}


def disguise(name: str, text: str, rng: random.Random) -> str:
    """Return ``text`` in the disguise of that name.

    Raises:
        KeyError: there is none of that name.
    """
    return MUTATIONS[name](text, rng)
