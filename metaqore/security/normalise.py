"""Bring a text into one plain form before it is looked at, and undo one layer of disguise.

:func:`fold` gives a pure ASCII text: compatibility forms (NFKC), accents, homoglyphs of Cyrillic, Greek and Cherokee
and other Latin look-alikes are folded, invisible characters dropped. Rules then need one alphabet, and a byte offset
is a character offset. :func:`views` adds what a text says after one decoding: base64, hex, binary, Morse, URL and
character escapes, rot13, leet, reversed or spaced-out letters, Unicode tags. A view of a view is never made.

Sources: Unicode UAX #15 (NFKC), UTS #39 (confusables), RFC 4648 (base64, hex), RFC 3986 §2.1 (percent).
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from metaqore.security.detect_patterns import Patterns

#: Stands for a letter of a script that has no Latin look-alike. No rule matches it.
OTHER_LETTER = "\x1a"

_LOOKALIKES = dict(
    zip(
        "авекмнорстухѕіјԁԛԝһӏёїьгАВЕКМНОРСТУХЅІЈԌЁЇЬαβγεηικνορτυχωΑΒΕΖΗΙΚΜΝΟΡΤΥΧᎪᏴᏟᎠᎬᏀᎻᎫᏦᏞᎷᏢᏒᏚᎢᏙᎳᏃ",
        "abekmhopctyxsijdqwhleibrABEKMHOPCTYXSIJGEIbabyenikvoptuxwABEZHIKMNOPTYXABCDEGHJKLMPRSTVWZ",
        strict=True,
    )
)
_LOOKALIKES |= {"‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'}
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


_FOLD = _Fold({code: chr(code) for code in range(128)} | {code: " " for code in range(32) if code not in (9, 10, 13)})


@dataclass(frozen=True, slots=True)
class Folded:
    """An ASCII text and where each of its characters stood."""

    text: str
    #: Index in the original of each character; None where nothing moved.
    origins: tuple[int, ...] | None
    original_length: int

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the characters ``[start, end)`` of the original that a span of ``text`` came from."""
        if self.origins is None:
            return start, end
        if start >= len(self.origins):
            return self.original_length, self.original_length
        return self.origins[start], self.origins[max(start, end - 1)] + 1


def fold(text: str) -> Folded:
    """Return the ASCII form of ``text``. Linear; never fails, lone surrogates included."""
    if text.isascii():
        return Folded(text if text.isprintable() else text.translate(_FOLD), None, len(text))
    folded = text.translate(_FOLD)
    if len(folded) == len(text) and not _resized(text):
        return Folded(folded, None, len(text))
    origins = tuple(i for i, char in enumerate(text) for _ in _FOLD[ord(char)])
    return Folded(folded, origins, len(text))


def _resized(text: str) -> bool:
    """True where a character folds to none or several, though the total length may be the same."""
    return any(len(_FOLD[ord(char)]) != 1 for char in set(text))


@dataclass(frozen=True, slots=True)
class View:
    """What a piece ``[start, end)`` of a folded text says when one layer of disguise is taken off."""

    name: str
    text: str
    start: int
    end: int
    #: The text was written in this disguise as a whole: without it there is nothing to read.
    replaces: bool = False


#: The signs of each disguise. A view is made only where its sign is there.
_SIGNS = Patterns(
    {
        "base64": r"[A-Za-z0-9+/_-]{16,}(?:\r?\n[A-Za-z0-9+/_-]{16,})*(?:\r?\n[A-Za-z0-9+/_-]{2,15})?={0,2}",
        "hex": r"(?:[0-9A-Fa-f]{2}[ :,]?){11,}[0-9A-Fa-f]{2}|(?:(?:\\x|0x)[0-9A-Fa-f]{2}[ ,]?){8,}",
        "binary": r"(?:[01]{8}[ ,]?){6,}",
        "morse": r"(?:[.-]{1,6}[ /|]{1,3}){12,}[.-]{1,6}",
        "spaced": r"(?:\b[A-Za-z][ ._-]){7,}[A-Za-z]\b",
        "url": r"%[0-9A-Fa-f]{2}",
        "html": r"&#?[A-Za-z0-9]{2,8};",
        "escapes": r"\\u00[0-9A-Fa-f]{2}|\\x[0-9A-Fa-f]{2}",
        "rot13": r"(?i)\b(?:rot-?13|gur|naq|lbh|lbhe|vf|bs|sbe|jvgu|guvf|gung|abg|cyrnfr|vtaber|zl|va|gb|ubj|jung)\b",
        "leet": r"[A-Za-z][013457@$]{1,3}[A-Za-z]",
        "reversed": r"(?i)\b(?:snoitcurtsni|suoiverp|erongi|tpmorp|metsys|laever|tegrof|drowssap|evoba|eht|dna|uoy)\b",
    }
)
#: Encoded pieces that get a view of their own; the rest share one, so that many small ones stay cheap.
_MAX_PIECES = 16
_PLAIN_WORDS = re.compile(
    r"\b(?:the|and|you|your|to|is|of|in|for|with|this|that|not|please|my|me|how|what)\b", re.IGNORECASE
)
_LEET_WORD = re.compile(r"[\w@$]+")
_LEET_SIGN = re.compile(r"[A-Za-z][013457@$]{1,3}[A-Za-z]")
_LEET = str.maketrans("013457@$", "oieastas")
_ESCAPE = re.compile(r"\\u00([0-9A-Fa-f]{2})|\\x([0-9A-Fa-f]{2})")
_TAGS = re.compile("[\U000e0020-\U000e007e]+")
_ROT13 = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "NOPQRSTUVWXYZABCDEFGHIJKLMnopqrstuvwxyzabcdefghijklm"
)
_MORSE_CODE = dict(
    zip(
        ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.. "
        "----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----.".split(),
        "abcdefghijklmnopqrstuvwxyz0123456789",
        strict=True,
    )
)


def views(original: str, folded: str) -> list[View]:
    """Return the further readings of a text, none for an ordinary one.

    Args:
        original: The text as it came; only Unicode tags are read from it.
        folded: ``fold(original).text``; the spans of the views count in it.
    """
    data = folded.encode("ascii")
    signs = _SIGNS.present(data)
    found: list[View] = []
    for name in (name for name in _BLOBS if name in signs):
        pieces = [
            View(name, fold(decoded).text, match.start, match.end)
            for match in _SIGNS.find(name, data)
            if (decoded := _BLOBS[name](match.text))
        ]
        found += pieces[:_MAX_PIECES]
        if rest := pieces[_MAX_PIECES:]:
            found.append(View(name, "\n".join(v.text for v in rest), rest[0].start, rest[-1].end))
    for name in (name for name in _WHOLE if name in signs):
        needed, decode = _WHOLE[name]
        if _SIGNS.count(name, data, needed) >= needed and (decoded := decode(folded)) != folded:
            found.append(View(name, fold(decoded).text, 0, len(folded), _reads_better(decoded, folded)))
    if not original.isascii() and len(hidden := "".join(_TAGS.findall(original))) > 3:
        found.append(View("tags", "".join(chr(ord(c) - 0xE0000) for c in hidden), 0, len(folded)))
    return found


def _reads_better(decoded: str, text: str) -> bool:
    return len(_PLAIN_WORDS.findall(decoded)) > 2 * len(_PLAIN_WORDS.findall(text))


def _from_base64(blob: str) -> str:
    packed = re.sub(r"\s", "", blob).rstrip("=").translate({45: "+", 95: "/"})
    packed = packed[: len(packed) - (len(packed) % 4 == 1)]
    try:
        return _readable(base64.b64decode(packed + "=" * (-len(packed) % 4)))
    except binascii.Error:
        return ""


def _readable(octets: bytes) -> str:
    """Return the text of some bytes, or "" where they are no text that a person wrote."""
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return ""
    letters = sum(char.isalpha() or char == " " for char in text)
    unprintable = sum(not (char.isprintable() or char in "\r\n\t") for char in text)
    fine = letters >= 0.5 * len(text) and unprintable <= 0.1 * len(text) and len(text) > 7
    return text if fine else ""


def _from_morse(code: str) -> str:
    words = re.split(r"\s*[/|]\s*|\s{3,}", code)
    letters = [[_MORSE_CODE.get(sign, "") for sign in word.split()] for word in words]
    known = sum(bool(letter) for word in letters for letter in word)
    total = sum(len(word) for word in letters)
    return " ".join("".join(word) for word in letters) if total > 11 and known > 0.9 * total else ""


def _from_hex(blob: str) -> str:
    return _readable(bytes.fromhex(re.sub(r"\\x|0x|[ :,]", "", blob)))


def _from_binary(blob: str) -> str:
    digits = re.sub(r"[ ,]", "", blob)
    return _readable(bytes(int(digits[i : i + 8], 2) for i in range(0, len(digits), 8)))


def _from_escapes(text: str) -> str:
    return _ESCAPE.sub(lambda m: chr(int(m[1] or m[2], 16)), text)


def _from_rot13(text: str) -> str:
    """Return the rotated text, or the text itself where it reads better as it is."""
    rotated = text.translate(_ROT13)
    if "rot13" in text.lower():
        return rotated
    return rotated if len(_PLAIN_WORDS.findall(rotated)) > len(_PLAIN_WORDS.findall(text)) else text


def _from_leet(text: str) -> str:
    """Return the text with digits for letters read as letters. Numbers stay, unless most words are written so."""
    if 6 * len(_LEET_SIGN.findall(text)) > len(text.split()):
        return text.translate(_LEET)
    return _LEET_WORD.sub(lambda m: m[0] if m[0].isdigit() else m[0].translate(_LEET), text)


_BLOBS: dict[str, Callable[[str], str]] = {
    "base64": _from_base64,
    "hex": _from_hex,
    "binary": _from_binary,
    "morse": _from_morse,
    "spaced": lambda blob: re.sub(r"[ ._-]", "", blob),
}
#: Name → (how many signs it takes, the decoder of the whole text).
_WHOLE: dict[str, tuple[int, Callable[[str], str]]] = {
    "url": (3, lambda text: unquote(text, errors="replace")),
    "html": (3, html.unescape),
    "escapes": (3, _from_escapes),
    "rot13": (1, _from_rot13),
    "leet": (3, _from_leet),
    "reversed": (2, lambda text: text[::-1]),
}
