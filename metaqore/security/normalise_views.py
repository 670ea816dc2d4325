"""What a text says when one layer of disguise is taken off.

Pieces in base64, base85, hex, binary or Morse, with URL, HTML or character escapes, with spaced-out letters or with
words joined as in names of files are decoded where they stand; stretches of lines in rot13, leet or reversed letters
are read as wholes; Unicode tags are read as the letters that they stand for. A view of a view is never made.

Sources: RFC 4648 (base64, hex), RFC 3986 §2.1 (percent), Unicode 15 §23.9 (tags).
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from metaqore.security.detect_patterns import Patterns
from metaqore.security.normalise import fold


@dataclass(frozen=True, slots=True)
class View:
    """What a piece ``[start, end)`` of a folded text says when one layer of disguise is taken off."""

    name: str
    text: str
    start: int
    end: int
    #: The piece makes sense only like this: as it stands there is nothing to read.
    replaces: bool = False
    #: The text before it was folded, where that is another one: letters of other scripts are lost by folding.
    unfolded: str = ""


_ROT13_SIGN = (
    r"(?i)\b(?:rot-?13|gur|naq|lbh|lbhe|vf|bs|sbe|jvgu|guvf|gung|abg|cyrnfr|vtaber|zl|va|gb|ubj|jung|"
    r"haq|avpug|qvr|qrvar|dhr|ybf|ynf|yrf|qrf|ibhf|gbqnf|gbqb|pur|ghggr)\b"
)
_REVERSED_SIGN = (
    r"(?i)\b(?:snoitcurtsni|suoiverp|erongi|tpmorp|metsys|laever|tegrof|drowssap|evoba|eht|dna|uoy|"
    r"ruoy|taht|siht|morf|erofeb|rewsna|selur|euq|satse|setna|sadot|suov|snas|dnu|thcin|ehc|otseuq|ettut)\b"
)
_LEET_PAIR = r"[A-Za-z][013457@$]{1,3}[A-Za-z]"
_LEET_WORD_SIGN = rf"\w{{0,9}}{_LEET_PAIR}\w{{0,9}}"
#: What is looked for before some of them, whose counted gaps make many states.
_NEEDS = {
    "base64": r"[A-Za-z0-9+/_-]{20}", "hex": r"(?:[0-9A-Fa-f]{2}[ :,]?){9}|(?:\\x|0x)[0-9A-Fa-f]{2}",
    "url": "%[0-9A-Fa-f]{2}", "html": "&#?[A-Za-z0-9]{2,8};", "escapes": r"\\(?:u00|x)[0-9A-Fa-f]{2}",
    "binary": "[01]{8}", "leet": _LEET_PAIR, "slug": "[A-Za-z'][_-]+[A-Za-z']+[_-]+[A-Za-z']+[_-]",
}  # fmt: skip
#: The signs of each disguise. A view is made only where its sign is there.
_SIGNS = Patterns(
    {
        "base64": r"[A-Za-z0-9+/_-]{20,}(?:\r?\n[A-Za-z0-9+/_-]{20,})*(?:\r?\n[A-Za-z0-9+/_-]{2,19})?={0,2}",
        "hex": r"(?:[0-9A-Fa-f]{2}[ :,]?){11,}[0-9A-Fa-f]{2}|(?:(?:\\x|0x)[0-9A-Fa-f]{2}[ ,]?){8,}",
        "binary": r"(?:[01]{8}[ ,]?){6,}",
        "morse": r"(?:[.-]{1,6}[ /|]{1,3}){12,}[.-]{1,6}",
        "ascii85": r"<~[!-u\s]{16,}~>",
        "spaced": r"\b[A-Za-z](?:[ ._-]{0,2}[,;:!?'\"()]{0,2}[ ._-]{1,4}[A-Za-z]\b){5,}",
        "slug": r"[A-Za-z']{2,}(?:[_-]+[A-Za-z']+){4,}[_-]+[A-Za-z']{2,}",
        "url": r"\S*%[0-9A-Fa-f]{2}\S*%[0-9A-Fa-f]{2}\S*%[0-9A-Fa-f]{2}\S*",
        "html": r"(?:[^&\n]{0,24}&#?[A-Za-z0-9]{2,8};){3,}[^&\n]{0,24}",
        "escapes": r"(?:[^\\\n]{0,24}\\(?:u00|x)[0-9A-Fa-f]{2}){3,}[^\\\n]{0,24}",
        "rot13": _ROT13_SIGN,
        # Three such words within a few of each other.
        "leet": rf"(?:\b{_LEET_WORD_SIGN}\b[ ,.;:!?'\"\n]+(?:\w+[ ,.;:!?'\"\n]+){{0,3}}){{2}}{_LEET_WORD_SIGN}\b",
        "reversed": _REVERSED_SIGN,
    },
    _NEEDS,
)
#: What a line of a whole text in that disguise has at least.
_LINE_SIGNS = Patterns({"rot13": _ROT13_SIGN, "leet": _LEET_PAIR, "reversed": _REVERSED_SIGN})
_GAP = 2
#: Encoded pieces that get a view of their own; the rest share one, so that many small ones stay cheap.
_MAX_PIECES = 16
#: Words that any English text has, and some of its neighbours.
_PLAIN_WORDS = frozenset(
    "the and you your to is of in for with this that not please my me how what "
    "und nicht die der deine que los las les des vous tes todas todo che tutte por para con una une sans ohne".split()
)
_WORD = re.compile(r"\w+")
_LEET_WORD = re.compile(r"[\w@$]+")
_LEET_SIGN = re.compile(_LEET_PAIR)
_LEET = str.maketrans("013457@$", "oieastas")
_ESCAPE = re.compile(r"\\u00([0-9A-Fa-f]{2})|\\x([0-9A-Fa-f]{2})")
_TAGS = re.compile("[\U000e0020-\U000e007e]+")
#: How each of them begins in UTF-8.
_TAG_OCTETS = b"\xf3\xa0"
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
    signs = set(_SIGNS.suspected(data))
    found: list[View] = []
    for name in (name for name in _BLOBS if name in signs):
        decoded = ((match, _BLOBS[name](match.text)) for match in _SIGNS.find(name, data))
        found += [
            View(name, fold(text).text, match.start, match.end, unfolded="" if text.isascii() else text)
            for match, text in decoded
            if text
        ]
    for name in (name for name in _WHOLE if name in signs):
        for start, end in _regions(name, folded):
            piece = folded[start:end]
            if not next(_SIGNS.find(name, data[start:end]), None):
                continue
            if (text := _WHOLE[name](piece)) != piece:
                found.append(View(name, fold(text).text, start, end, _reads_better(text, piece)))
    if _TAG_OCTETS in original.encode("utf-8", "surrogatepass") and len(hidden := "".join(_TAGS.findall(original))) > 3:
        found.append(View("tags", "".join(chr(ord(c) - 0xE0000) for c in hidden), 0, len(folded)))
    return [
        view for name in dict.fromkeys(v.name for v in found) for view in _few([v for v in found if v.name == name])
    ]


def is_hidden_in_base64(folded: str) -> bool:
    """Return whether a piece of a text is one that a person wrote, in base64; a hash or a key is not."""
    return any(_from_base64(match.text) for match in _SIGNS.find("base64", folded.encode("ascii")))


def _regions(name: str, text: str) -> Iterator[tuple[int, int]]:
    """Yield the stretches of lines that show a sign, with up to two lines that do not between them."""
    data = text.encode("ascii")
    stretch: tuple[int, int] | None = None
    looked = 0
    while sign := next(_LINE_SIGNS.find(name, data, looked), None):
        # The rest of the line says nothing new.
        start, looked = text.rfind("\n", 0, sign.start) + 1, text.find("\n", sign.end)
        looked = len(text) if looked < 0 else looked
        if name == "leet" and not _is_leet(text[start:looked]):
            continue
        if stretch and text.count("\n", stretch[1], start) > _GAP + 1:
            yield stretch
            stretch = None
        stretch = (stretch[0] if stretch else start, looked)
    if stretch:
        yield stretch


def _few(found: list[View]) -> list[View]:
    """Return views of one kind, those beyond a number put together, so that many small ones stay cheap."""
    if len(found) <= _MAX_PIECES:
        return found
    rest = found[_MAX_PIECES:]
    text = "\n".join(view.text for view in rest)
    unfolded = "\n".join(view.unfolded for view in rest if view.unfolded)
    return [*found[:_MAX_PIECES], View(rest[0].name, text, rest[0].start, rest[-1].end, unfolded=unfolded)]


def plain_words(text: str) -> int:
    """Return how many words of a text are ones that any English text has, or a text in a neighbouring language."""
    return sum(map(_PLAIN_WORDS.__contains__, _WORD.findall(text.lower())))


def _reads_better(decoded: str, text: str) -> bool:
    return plain_words(decoded) > 2 * plain_words(text)


def _from_base64(blob: str) -> str:
    """Return the text of some lines of base64. A last line that is none of it may only look so: ``desk`` is a word."""
    if blob.islower():
        return ""  # A path, or a long word: one text in ten thousand has no capital in base64.
    lines = blob.splitlines()
    return _decoded("".join(lines)) or (_decoded("".join(lines[:-1])) if len(lines) > 1 else "")


def _decoded(blob: str) -> str:
    packed = "".join(blob.split()).rstrip("=").replace("-", "+").replace("_", "/")
    packed = packed[: len(packed) - (len(packed) % 4 == 1)]
    try:
        return _readable(binascii.a2b_base64(packed + "=" * (-len(packed) % 4)))
    except binascii.Error:
        return ""


def _readable(octets: bytes) -> str:
    """Return the text of some bytes, or "" where they are no text that a person wrote."""
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return ""
    letters = sum(map(str.isalpha, text)) + text.count(" ")
    printable = sum(map(str.isprintable, text)) + sum(map(text.count, "\r\n\t"))
    fine = letters >= 0.5 * len(text) and printable >= 0.9 * len(text) and len(text) > 7
    return text if fine else ""


def _from_morse(code: str) -> str:
    words = re.split(r"\s*[/|]\s*|\s{3,}", code)
    letters = [[_MORSE_CODE.get(sign, "") for sign in word.split()] for word in words]
    known = sum(bool(letter) for word in letters for letter in word)
    total = sum(len(word) for word in letters)
    return " ".join("".join(word) for word in letters) if total > 11 and known > 0.9 * total else ""


def _from_ascii85(blob: str) -> str:
    try:
        return _readable(base64.a85decode(blob, adobe=True))
    except ValueError:
        return ""


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
    return rotated if plain_words(rotated) > plain_words(text) else text


def _is_leet(text: str) -> bool:
    """Return whether a text has a word with digits for letters: keys and hashes only look so."""
    words = [word.translate(_LEET) for word in _LEET_WORD.findall(text) if _LEET_SIGN.search(word)]
    return any(word.isalpha() and (word.islower() or word.isupper() or word.istitle()) for word in words)


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
    "ascii85": _from_ascii85,
    # One separator stands between letters, several between words.
    "spaced": lambda blob: re.sub(r"[ ._-]", "", re.sub(r"[ ._-]{2,}", "\n", blob)).replace("\n", " "),
    # As in names of files, which are not long. Names of tests are sentences of programmers.
    "slug": lambda blob: "" if blob.startswith("test_") or len(blob) > 1024 else re.sub(r"[_-]+", " ", blob),
    "url": lambda blob: unquote(blob.replace("+", " "), errors="replace"),
    "html": html.unescape,
    "escapes": _from_escapes,
}
#: Disguises of whole lines, with the decoder of a stretch of them.
_WHOLE: dict[str, Callable[[str], str]] = {
    "rot13": _from_rot13,
    "leet": _from_leet,
    "reversed": lambda text: text[::-1],
}
