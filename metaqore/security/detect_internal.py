"""Is a text the business of an organization, or public knowledge?

A linear model over words (``assess_linear``, weights ``internal.bin``) asks: plans, architecture, hosts, roadmap, cost,
minutes, incidents? The whole text counts, and in a long one its strongest stretch. What cannot be judged (nothing to
read, a script that the model does not know, an opaque string) is never public.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_letters

from metaqore.security.assess_linear import Chunk, load, token_span
from metaqore.security.assess_payload import Document
from metaqore.security.detect_patterns import Patterns
from metaqore.security.detect_rule import Hit
from metaqore.security.model import Label
from metaqore.security.normalise import OTHER_LETTER

#: Score of a stretch of a longer text that makes the whole internal: nine planted sentences in ten reach it.
STRETCH_THRESHOLD = 2.0
#: Tokens of a text that is long enough to hold a stretch about something else.
_LONG = 48
#: Tokens below which a text does not say whose business it is: a class that a model names, a title, a name.
_FEWEST = 4
_LINK = re.compile(r"https?://[^\s)>\]]+")
_OPAQUE = re.compile(r"[A-Za-z0-9+/=_-]{40,}")
_SIGNS = Patterns({"opaque": r"[A-Za-z0-9+/=_-]{40}"})
_LETTERS = ascii_letters.encode()
#: Escape, with which terminals colour their output, is none of them.
_CONTROLS = bytes(code for code in (*range(32), 127) if code not in (9, 10, 12, 13, 27))
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f-\x9f\ufffd\ud800-\udfff]+")
_PUBLIC_MATERIAL = re.compile(r"BEGIN (?:\w+ )?(?:PUBLIC KEY|CERTIFICATE)|ssh-(?:rsa|ed25519) AAAA")


def internal(document: Document, chunks: Sequence[Chunk]) -> tuple[str, Hit] | None:
    """Return (rule id, hit) where a document is internal or cannot be judged, None where it is public.

    Args:
        chunks: Of the running text of the document.
    """
    if reason := unjudgeable(document):
        return reason, Hit("unjudged", Label.INTERNAL, 1.0, 0, len(document.text))
    model = load("internal")
    best_score, best = model.threshold, None
    for chunk in chunks:
        if len(chunk.tokens) < _FEWEST:
            continue
        score, span = model.whole(chunk), (0, len(chunk.tokens))
        if score <= model.threshold and len(chunk.tokens) > _LONG:
            stretch = model.strongest(chunk)
            score, span = stretch.score - STRETCH_THRESHOLD, (stretch.first, stretch.last)
        if score > best_score:
            best_score, best = score, (chunk, span)
    if best is None:
        return None
    chunk, span = best
    whole = span == (0, len(chunk.tokens))
    start, end = (0, len(chunk.text)) if whole else token_span(chunk, *span)
    confidence = round(min(0.99, 0.5 + best_score / 8), 3)
    hit = Hit("internal_material", Label.INTERNAL, confidence, chunk.offset + start, chunk.offset + end)
    return "internal.text", hit


def _is_binary(original: str) -> bool:
    """True where a twentieth are control characters, bytes that are no text (surrogates), or what stands for those."""
    if original.isascii():
        octets = original.encode()
        return 20 * (len(octets) - len(octets.translate(None, _CONTROLS))) > len(octets)
    return 20 * sum(len(run) for run in _NO_TEXT.findall(original)) > len(original)


def unjudgeable(document: Document) -> str | None:
    """Return the id of the rule by which a document cannot be judged, or None."""
    text = document.text
    if not document.judgeable:
        return "unjudged.empty"
    if _is_binary(document.original):
        return "unjudged.binary"
    letters = len(text) - len(text.encode().translate(None, _LETTERS))
    # A disguise uses look-alikes only; a script that is not Latin has other letters too.
    if 8 * text.count(OTHER_LETTER) > letters:
        return "unjudged.script"
    prose = document.prose()
    if not prose or letters < 4:
        return "unjudged.no_text"
    if _SIGNS.present(text.encode()):
        opaque = sum(len(blob) for blob in _OPAQUE.findall(_LINK.sub(" ", text)))
        if 2 * opaque > len(text) and not _PUBLIC_MATERIAL.search(text):
            return "unjudged.opaque"
    return None
