"""Bring a text into one plain form before it is looked at.

:func:`fold` gives a pure ASCII text: compatibility forms (NFKC), accents, homoglyphs of Cyrillic, Greek and Cherokee
and other Latin look-alikes are folded, invisible characters dropped. Rules then need one alphabet, and a byte offset
is a character offset. What is still hidden in an encoding, ``normalise_views`` reads.

Sources: Unicode UAX #15 (NFKC), UTS #39 (confusables).
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate

#: Stands for a letter of a script that has no Latin look-alike. No rule matches it.
OTHER_LETTER = "\x1a"

_LOOKALIKES = dict(
    zip(
        "авекмнорстухѕіјԁԛԝһӏёїьгАВЕКМНОРСТУХЅІЈԌЁЇЬαβγεηικνορτυχωΑΒΕΖΗΙΚΜΝΟΡΤΥΧᎪᏴᏟᎠᎬᏀᎻᎫᏦᏞᎷᏢᏒᏚᎢᏙᎳᏃ",
        "abekmhopctyxsijdqwhleibrABEKMHOPCTYXSIJGEIbabyenikvoptuxwABEZHIKMNOPTYXABCDEGHJKLMPRSTVWZ",
        strict=True,
    )
)
_LOOKALIKES |= {"‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "…": "."}
_LOOKALIKES |= {"×": "x", "ß": "s", "Æ": "A", "æ": "a", "Œ": "O", "œ": "o", "ø": "o", "Ø": "O", "þ": "t", "ð": "d"}
_LATIN_NAME = re.compile(r"LATIN (SMALL |CAPITAL )?LETTER (?:SMALL CAPITAL )?(?:DOTLESS |SCRIPT |TURNED )?([A-Z])\b")


class _Fold(dict[int, str]):
    """Code point → ASCII, worked out once per code point."""

    def __missing__(self, code: int) -> str:
        folded = self[code] = _fold_character(chr(code))
        return folded


def _fold_character(char: str) -> str:
    if char in _LOOKALIKES:
        return _LOOKALIKES[char]
    category = unicodedata.category(char)
    if category in ("Cf", "Mn", "Me"):
        return ""
    compatible = "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c))
    if compatible != char and compatible.isascii():
        return compatible
    if compatible in _LOOKALIKES:
        return _LOOKALIKES[compatible]
    named = _LATIN_NAME.search(unicodedata.name(char, ""))
    if named:
        return named[2] if named[1] == "CAPITAL " else named[2].lower()
    if category[0] == "L":
        return OTHER_LETTER
    if category == "Pd":
        return "-"
    if category == "Nd":
        return str(unicodedata.digit(char))
    return " "


#: What a text may hold that is folded to itself.
_PLAIN = bytes((9, 10, 13, *range(32, 127)))
#: Characters that are replaced one by one: most texts are ASCII but for a few.
_FEW = 32
_UNUSUAL = re.compile(r"[^\t\n\r -~]+")
_FOLD = _Fold({code: chr(code) for code in range(128)} | {code: " " for code in range(32) if code not in (9, 10, 13)})


class Folded:
    """An ASCII text and where each of its characters stood."""

    def __init__(self, text: str, original: str, grown: dict[str, int]) -> None:
        """``grown``: of each character that was dropped or became several how many more than one it is now."""
        self.text = text
        #: True where offsets differ.
        self.moved = bool(grown)
        self._grown = grown
        self._original = original

    @cached_property
    def _moves(self) -> tuple[list[int], list[int]]:
        """Return where characters stand that became none or several, and of each how many folded ones end with it."""
        text, grown = self._original, self._grown
        if len(grown) > _FEW:
            runs = _UNUSUAL.finditer(text)
            places = [place for run in runs for place, char in enumerate(run[0], run.start()) if char in grown]
        else:
            places = sorted(place for char in grown for place in _places(text, char))
        growth = accumulate(grown[text[place]] for place in places)
        ends = [place + 1 + more for place, more in zip(places, growth, strict=True)]
        return [-1, *places, len(text)], [0, *ends]

    def _origin(self, index: int) -> int:
        if not self.moved:
            return index
        places, ends = self._moves
        # A character that was dropped ends where the one before it does: the search goes past it.
        last = bisect_right(ends, index) - 1
        return min(places[last] + 1 + index - ends[last], places[last + 1])

    def folded(self, index: int) -> int:
        """Return how many characters of ``text`` the first ``index`` ones of the original became."""
        if not self.moved:
            return index
        places, ends = self._moves
        last = bisect_left(places, index) - 1
        return ends[last] + index - places[last] - 1

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the characters ``[start, end)`` of the original that a span of ``text`` came from."""
        if end <= start:
            return self._origin(start), self._origin(start)
        return self._origin(start), self._origin(end - 1) + 1


def _places(text: str, char: str) -> Iterator[int]:
    place = text.find(char)
    while place >= 0:
        yield place
        place = text.find(char, place + 1)


def fold(text: str) -> Folded:
    """Return the ASCII form of ``text``. Linear; never fails, lone surrogates included."""
    if text.isascii():
        return Folded(text.translate(_FOLD) if text.encode().translate(None, _PLAIN) else text, text, {})
    unusual = set(text.encode("utf-8", "surrogatepass").translate(None, _PLAIN).decode("utf-8", "surrogatepass"))
    if len(unusual) > _FEW:
        folded = text.translate(_FOLD)
    else:
        folded = text
        # What a letter becomes may be a control character: these are replaced first, and so not again.
        for char in sorted(unusual):
            folded = folded.replace(char, _FOLD[ord(char)])
    return Folded(folded, text, {char: size - 1 for char in unusual if (size := len(_FOLD[ord(char)])) != 1})
