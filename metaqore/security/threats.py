"""Does a payload attack the agent that will read it?

Rules (``threats_rules``) and a linear model (``assess_linear``) both speak in log-odds: the weights of the rules that
fire are added to the score of the strongest stretch, over all readings of the text. Beyond a threshold, set on texts
that training had not seen, every sign is reported with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from metaqore.security.assess_linear import LinearModel, Stretch, load, token_span, tokens_of
from metaqore.security.assess_payload import Document
from metaqore.security.detect_patterns import Patterns
from metaqore.security.model import Position, Threat
from metaqore.security.normalise import View
from metaqore.security.threats_rules import RULES, ThreatRule

#: The model's score counts down to this: silence of the model does not outweigh a strong rule.
FLOOR = -2.0
#: The rules' weights count together up to this.
CEILING = 8.0

_CHUNK = 8192
_OVERLAP = 1024


class Sign(NamedTuple):
    """One sign of an attack: a rule, or None for the model, in a reading."""

    rule: ThreatRule | None
    view: str
    #: Characters of the document's text.
    start: int
    end: int


class _Reading(NamedTuple):
    view: str
    text: str
    pieces: list[tuple[int, int]]
    #: Where an encoded piece stands; None where offsets in ``text`` are those of the document.
    span: tuple[int, int] | None


@cache
def _patterns() -> tuple[Patterns, dict[str, ThreatRule]]:
    return Patterns({rule.id: rule.pattern for rule in RULES}), {rule.id: rule for rule in RULES}


def scan(document: Document, views: Sequence[View], position: Position) -> list[Threat]:
    """Return the threats in a document, strongest rule first; none below the threshold."""
    score, signs = weigh(document, views, position)
    model = load("threats")
    if score < model.threshold:
        return []
    confidence = round(1 / (1 + math.exp(model.threshold - score)), 3)
    return [_threat(document, sign, signs, confidence, position) for sign in signs]


def weigh(
    document: Document, views: Sequence[View], position: Position, model: LinearModel | None = None
) -> tuple[float, list[Sign]]:
    """Return the log-odds of an attack and its signs, strongest first.

    Args:
        model: The weights to use instead of the packaged ones.
    """
    model = model or load("threats")
    readings = _readings(document, views)
    fired = _fired(readings, position)
    score, sign = _strongest(readings, model)
    total = max(score, FLOOR) + min(CEILING, sum(s.rule.weight for s in fired if s.rule))
    return total, ([*fired, sign] if sign and score > 0 else fired)


def rule_weight(document: Document, views: Sequence[View], position: Position) -> float:
    """Return what the rules alone add, at most ``CEILING``."""
    return min(CEILING, sum(s.rule.weight for s in _fired(_readings(document, views), position) if s.rule))


def _readings(document: Document, views: Sequence[View]) -> list[_Reading]:
    readings = [_Reading(v.name, v.text.lower(), [(0, len(v.text))], (v.start, v.end)) for v in views]
    if any(view.replaces for view in views):
        return readings
    return [_Reading("plain", document.text.lower(), document.prose(), None), *readings]


def _fired(readings: list[_Reading], position: Position) -> list[Sign]:
    patterns, rules = _patterns()
    signs: dict[str, Sign] = {}
    for reading in readings:
        data = reading.text.encode("ascii")
        for name in patterns.present(data) - signs.keys():
            if rules[name].indirect_only and position is Position.USER:
                continue
            match = next(patterns.find(name, data))
            start, end = reading.span or (match.start, match.end)
            signs[name] = Sign(rules[name], reading.view, start, end)
    return sorted(signs.values(), key=lambda sign: -sign.rule.weight if sign.rule else 0.0)


def _strongest(readings: list[_Reading], model: LinearModel) -> tuple[float, Sign | None]:
    best, where = Stretch(float("-inf"), 0, 0), None
    for reading in readings:
        for offset, piece in _chunks(reading):
            stretch = model.strongest(tokens_of(piece))
            if stretch.score > best.score:
                best, where = stretch, (reading, offset, piece)
    if where is None:
        return float("-inf"), None
    reading, offset, piece = where
    start, end = token_span(piece, best.first, best.last)
    return best.score, Sign(None, reading.view, *(reading.span or (offset + start, offset + end)))


def _chunks(reading: _Reading) -> Iterator[tuple[int, str]]:
    """Yield (offset, text) of the pieces, long ones in overlapping chunks, equal ones once."""
    seen: set[str] = set()
    for start, end in reading.pieces:
        for offset in range(start, max(start + 1, end - _OVERLAP), _CHUNK - _OVERLAP):
            chunk = reading.text[offset : min(end, offset + _CHUNK)]
            if chunk not in seen:
                seen.add(chunk)
                yield offset, chunk


def _threat(document: Document, sign: Sign, signs: list[Sign], confidence: float, position: Position) -> Threat:
    place = document.place(sign.start, sign.end)
    if sign.rule:
        family, rule, why = sign.rule.family, sign.rule.id, sign.rule.explanation
    else:
        # The model says that, not which: it borrows the family of the strongest rule.
        family = next((s.rule.family for s in signs if s.rule), "prompt_injection")
        rule, why = "model.stretch", "reads like texts that attack a model"
    indirect = position is not Position.USER
    return Threat(
        family,
        rule,
        f"{why[0].upper()}{why[1:]}.",
        confidence,
        indirect,
        place.pointer,
        place.start,
        place.end,
        sign.view,
    )
