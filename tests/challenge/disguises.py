"""Ways to hide what a text says from a filter that reads it as it stands; a model still understands it."""

from __future__ import annotations

import base64
import codecs
import random
from collections.abc import Callable
from urllib.parse import quote

_LEET = str.maketrans("oieastOIEAST", "013457013457")
_ALIKE = str.maketrans("aceopxyiABEHKMOPCTX", "асеорхуіАВЕНКМОРСТХ")
_INVISIBLE = "\u200b\u200c\u200d\u2060"


def _zero_width(text: str, random: random.Random) -> str:
    return "".join(c + (random.choice(_INVISIBLE) if random.random() < 0.4 else "") for c in text)


def _spaced(text: str, _random: random.Random) -> str:
    return "   ".join(" ".join(word) for word in text.split())


def _mixed_case(text: str, random: random.Random) -> str:
    return "".join(random.choice((c.lower(), c.upper())) for c in text)


def _folded_lines(text: str, random: random.Random) -> str:
    words = text.split()
    return "".join(word + ("\n" if random.random() < 0.25 else " ") for word in words).strip()


def _base64(text: str, random: random.Random) -> str:
    packed = base64.b64encode(text.encode()).decode()
    return random.choice(("Decode this: {}", "data: {}", "{}", "attachment.b64\n{}")).format(packed)


DISGUISES: dict[str, Callable[[str, random.Random], str]] = {
    "leet": lambda text, _: text.translate(_LEET),
    "homoglyph": lambda text, _: text.translate(_ALIKE),
    "zero_width": _zero_width,
    "base64": _base64,
    "hex": lambda text, _: "hex: " + text.encode().hex(),
    "rot13": lambda text, _: codecs.encode(text, "rot13"),
    "url": lambda text, _: "https://example.com/?note=" + quote(text),
    "spaced": _spaced,
    "reversed": lambda text, _: text[::-1],
    "mixed_case": _mixed_case,
    "full_width": lambda text, _: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    "broken_lines": _folded_lines,
}
#: What leaves letters of other scripts as they are.
FOR_ANY_SCRIPT = ("base64", "hex", "url", "zero_width", "broken_lines")
