"""What only the answer of a model can do wrong: carry data out, run where it is shown, give its instructions away.

Sources: OWASP Top 10 for LLM applications 2025, LLM05 (improper output handling), LLM07 (system prompt leakage) and
LLM02 (sensitive information disclosure through links that a reader's program follows by itself). Pure; every expression
is RE2, and every search is linear in the text.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import NamedTuple
from urllib.parse import unquote_plus

import re2

from metaqore.security.model import Threat
from metaqore.security.repeated import squeezed

#: Families that are found in answers alone.
FAMILIES = frozenset({"active_content", "prompt_leakage"})

# A picture is loaded without anybody's doing, a link once somebody clicks on it. Markdown (CommonMark §6.3–6.4, §4.7)
# and HTML.
_URL = r"https?://[^\s)>\"'\]]+"
_PICTURE = re2.compile(rf"(?i)!\[[^\[\]\n]*\]\(\s*<?({_URL})|<img\b[^<>]*\bsrc\s*=\s*[\"']?({_URL})")
_LINK = re2.compile(f"(?i){_URL}")
#: So many addresses of one answer are looked at, and so much of each.
_MOST_LINKS, _LONGEST_URL = 200, 4000
#: A value of a picture's address that is so long and no words carries something.
_OPAQUE = re.compile(r"[A-Za-z0-9+/_=%-]{24,}")
_PIECE = re.compile(r"[^&=/;.?#~]{8,}")
#: An address carries what the prompt said where so many letters and digits stand there in a row: few where they are
#: encoded, or where a picture takes them along; more in the open, since links are made of everyday words.
_HIDDEN, _OPEN = 12, 32
_ACTIVE = re2.compile(
    r"(?i)<(?:script|iframe|object|embed)\b|<[a-z][^<>]*\bon(?:error|load|click|mouseover|focus|toggle)\s*=|"
    r"(?:\]\(\s*<?|(?:href|src|action)\s*=\s*[\"']?)\s*(?:javascript|vbscript|data:text/html)\s*[:;,]|\x1b[\[\]P]"
)
#: Who asks for such a thing gets it.
_ASKED_FOR = re2.compile(
    r"(?i)\b(?:html|javascript|typescript|jsx|svg|xss|web ?page|websites?|css|script tags?|ansi)\b"
)
_CODE = re2.compile(r"(?s)```.*?(?:```|\z)|~~~.*?(?:~~~|\z)|`[^`\n]+`")
_WORD = re.compile(r"\w+")
#: Instructions of fewer words are what anybody might say.
_FEWEST_WORDS = 8
_SHINGLE = 6
#: Share of the instructions, or words of them in a row, that an answer gives away.
_LEAKED_SHARE = 0.5
_LEAKED_RUN = 24


class _Rule(NamedTuple):
    id: str
    family: str
    explanation: str


_CARRIES = _Rule("answer.carries", "data_exfiltration", "Puts what the prompt said into an address.")
_PICTURE_OPAQUE = _Rule("answer.picture", "data_exfiltration", "Shows a picture whose address carries hidden data.")
_RUNS = _Rule("answer.active", "active_content", "Holds markup or control codes that act where it is shown.")
_LEAKS = _Rule("answer.instructions", "prompt_leakage", "Repeats the instructions that the model was given.")


def signs(
    answer: str, instructions: Sequence[str], said: Sequence[str], undisguised: Sequence[str] = ()
) -> list[Threat]:
    """Return what an answer does wrong, at most one sign of each rule.

    Args:
        answer: as the model gave it.
        instructions: system and developer messages of the call.
        said: all other messages of the call.
        undisguised: what the answer, or a part of it, says once a disguise is taken off.
    """
    known = "\n".join([*instructions, *said])
    found = [_data_carried_out(answer, known), _active(answer, known)]
    if any(_gives_away(reading, instructions, said) for reading in (answer, *undisguised)):
        found.append(_threat(_LEAKS, 0.95, 0, len(answer)))
    return [threat for threat in found if threat is not None]


def _data_carried_out(answer: str, known: str) -> Threat | None:
    if "://" not in answer:
        return None
    pictures = {found.span(1 if found[1] else 2) for found in islice(_PICTURE.finditer(answer), _MOST_LINKS)}
    carried: dict[int, dict[str, tuple[int, int]]] = {_HIDDEN: {}, _OPEN: {}}
    for found in islice(_LINK.finditer(answer), _MOST_LINKS):
        url = found[0][:_LONGEST_URL].rstrip(".,;:!?")
        if url in known:
            continue
        shown = found.span() in pictures
        for piece, hidden in _pieces(url, shown=shown):
            size, value = (_HIDDEN if hidden else _OPEN), squeezed(piece)
            carried[size].update({value[at : at + size]: found.span() for at in range(len(value) - size + 1)})
        if shown and any(not _is_words(value) for value in _OPAQUE.findall(_query(url))):
            return _threat(_PICTURE_OPAQUE, 0.8, *found.span())
    said = squeezed(known) if any(carried.values()) else ""
    for size, runs in carried.items():
        for at in range(len(said) - size + 1) if runs else ():
            if said[at : at + size] in runs:
                return _threat(_CARRIES, 0.95, *runs[said[at : at + size]])
    return None


def _pieces(url: str, *, shown: bool) -> Iterator[tuple[str, bool]]:
    """Yield (piece, whether it is hidden) of what an address carries beside the name of its host."""
    host, _, path = url.partition("://")[2].partition("/")
    query = _query(url)
    for piece in (*host.split(":")[0].split(".")[:-2], *_PIECE.findall(path)):
        plain = unquote_plus(piece)
        yield plain, shown and piece not in path.partition("?")[0]
        for decoded in _decoded(plain):
            yield decoded, True
    yield unquote_plus(query), shown


def _decoded(piece: str) -> Iterator[str]:
    compact = piece.replace("-", "+").replace("_", "/")
    with suppress(binascii.Error, ValueError):
        yield base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True).decode()
    with suppress(ValueError):
        yield bytes.fromhex(piece).decode()


def _query(url: str) -> str:
    """Return what stands after the path of an address."""
    return url.partition("?")[2] or url.partition("#")[2]


def _is_words(value: str) -> bool:
    """True for what reads like words: ``flat-square-for-the-badge``, and no mix of digits, cases and signs."""
    return all(part.isalpha() and (part.islower() or part.istitle()) for part in re.split(r"[-_+%/=]+", value) if part)


def _active(answer: str, known: str) -> Threat | None:
    found = _ACTIVE.search(answer)
    if found is None or _ASKED_FOR.search(known):
        return None
    shown = _CODE.sub(lambda code: " " * len(code[0]), answer)
    found = _ACTIVE.search(shown)
    return None if found is None else _threat(_RUNS, 0.85, *found.span())


def _gives_away(answer: str, instructions: Sequence[str], said: Sequence[str]) -> bool:
    """Compare words in a row (shingles): what the caller's other messages say too is no secret."""
    told = _words("\n".join(instructions))
    if len(told) < _FEWEST_WORDS:
        return False
    rows = list(_rows(told, min(_SHINGLE, len(told))))
    public, given = (_among(rows, texts) for texts in ("\n".join(said), answer))
    secret = [row not in public for row in rows]
    hits = [own and row in given for own, row in zip(secret, rows, strict=True)]
    if not any(hits):
        return False
    run = longest = 0
    for hit in hits:
        run = run + 1 if hit else 0
        longest = max(longest, run)
    return sum(hits) >= _LEAKED_SHARE * sum(secret) or longest + _SHINGLE - 1 >= _LEAKED_RUN


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _rows(words: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(size)), strict=False)


def _among(rows: Sequence[tuple[str, ...]], text: str) -> set[tuple[str, ...]]:
    """Return those of ``rows`` that stand in a text."""
    return set(rows).intersection(_rows(_words(text), len(rows[0])))


def _threat(rule: _Rule, confidence: float, start: int, end: int) -> Threat:
    return Threat(rule.family, rule.id, rule.explanation, confidence, False, None, start, end)
