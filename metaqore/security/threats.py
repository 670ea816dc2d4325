"""Does a payload attack the agent that will read it?

Rules (``threats_rules``) and a linear model (``assess_linear``) both speak in log-odds: the weights of the rules that
fire are added to the score of the strongest stretch, over all readings of the text. Beyond a threshold, set on texts
that training had not seen, every sign is reported with its reason.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import NamedTuple

from metaqore.security import threats_agents, threats_indirect, threats_rules, threats_scripts
from metaqore.security.assess_linear import Chunk, LinearModel, Stretch, chunks_of, load, token_span, tokens_of
from metaqore.security.assess_payload import Document, Place, read
from metaqore.security.detect_patterns import Match, Patterns
from metaqore.security.joined import Joined
from metaqore.security.model import Position, Threat
from metaqore.security.normalise_views import View, plain_words, views
from metaqore.security.threats_rules import STRONG, ThreatRule

RULES = (*threats_rules.RULES, *threats_indirect.RULES, *threats_agents.RULES)
_FOREIGN = ThreatRule(
    "foreign.script", "prompt_injection", STRONG, "", "tells the model to drop its instructions or to act unseen"
)

#: The model's score counts down to this: silence of the model does not outweigh a strong rule, but it does a weak one.
FLOOR = -2.5
#: The rules' weights count together up to this.
CEILING = 8.0
_LONG = 256
_MOST_BY_CHANCE = 1.5
#: Rules reported of one payload, the strongest; all of them count.
MAX_SIGNS = 6
_SENTENCE = re.compile(r"[^.!?\n]+")
#: The end of a line in the middle of a sentence: the next line begins neither a list nor a turn.
#: It looks back last, so that the search runs from break to break.
_WRAPPED = re.compile(r"\n(?<=[a-z0-9,;]\n)(?=[a-z])(?![\w -]{1,20}:)")


class _Reading(NamedTuple):
    view: str
    text: str
    chunks: list[Chunk]
    #: Where an encoded piece stands; None where offsets in ``text`` are those of the document.
    span: tuple[int, int] | None
    #: Before folding; "" where nothing was lost by it.
    unfolded: str = ""


class _Strongest(NamedTuple):
    """The stretch that the model scores highest, over all readings."""

    score: float
    reading: _Reading = _Reading("plain", "", [], None)
    chunk: Chunk = Chunk(0, "", [], [])
    stretch: Stretch = Stretch(float("-inf"), 0, 0)


class _Fired(NamedTuple):
    """The rules that fire, and the readings in which they do."""

    names: set[str]
    readings: list[_Reading]
    joined: Joined
    #: In ``joined``, of each rule that is a pattern.
    matches: dict[str, Match]
    #: What speaks in another script; None for the text as it came.
    foreign: _Reading | None


class _Sign(NamedTuple):
    """One sign of an attack, and where it stands in the payload."""

    rule: ThreatRule
    view: str
    place: Place


@cache
def _patterns(indirect_only: bool) -> Patterns:
    """Return the rules that count everywhere, or those that count only where nobody asked for instructions."""
    return Patterns({rule.id: rule.pattern for rule in RULES if rule.indirect_only is indirect_only})


@cache
def _rules() -> dict[str, ThreatRule]:
    return {rule.id: rule for rule in (*RULES, _FOREIGN)}


def scan(
    document: Document, seen: Sequence[View], chunks: Callable[[], Sequence[Chunk]], position: Position
) -> list[Threat]:
    """Return the threats in a document, strongest rule first; none below the threshold.

    Args:
        seen: Its views, see :func:`metaqore.security.normalise.views`.
        chunks: Gives the running text of the document, see :func:`chunks_of_document`; asked where it is legible.
    """
    model = load("threats")
    readings = _readings(document, seen, chunks)
    fired = _fired(document.original, readings, position)
    strongest = _strongest(readings, model)
    total = max(strongest.score, FLOOR) + _weight(fired.names)
    if total < model.threshold:
        return []
    confidence = round(1 / (1 + math.exp(model.threshold - total)), 3)
    strong_first = sorted(fired.names, key=lambda name: (-_rules()[name].weight, name))
    signs = [_sign(document, name, fired) for name in strong_first[:MAX_SIGNS]]
    if strongest.score > 0:
        # The model says that it is one, not which: it borrows the family of the strongest rule.
        family = signs[0].rule.family if signs else "prompt_injection"
        signs.append(_model_sign(document, family, strongest))
    return [_threat(sign, confidence, position) for sign in signs]


def chunks_of_document(document: Document) -> list[Chunk]:
    """Return the running text of a document, cut and read for the linear models."""
    return chunks_of(document.text.lower(), document.prose())


def total_of(original: str, position: Position, model: LinearModel) -> float:
    """Return what a model and the rules together say of a text; for training."""
    document = read(original)
    seen = views(document.original, document.text)
    readings = _readings(document, seen, partial(chunks_of_document, document))
    weight = _weight(_fired(document.original, readings, position).names)
    return max(_strongest(readings, model).score, FLOOR) + weight


def rule_weight(document: Document, seen: Sequence[View], position: Position) -> float:
    """Return what the rules alone add."""
    return _weight(_fired(document.original, _readings(document, seen, list), position).names)


def _weight(fired: set[str]) -> float:
    return min(CEILING, sum(_rules()[name].weight for name in fired))


def token_readings(original: str) -> list[list[str]]:
    """Return the tokens of every reading of a text, as :func:`scan` reads it; for training."""
    document = read(original)
    seen = views(document.original, document.text)
    readings = _readings(document, seen, partial(chunks_of_document, document))
    return [tokens_of(chunk) for reading in readings for chunk in reading.chunks]


def _readings(document: Document, seen: Sequence[View], chunks: Callable[[], Sequence[Chunk]]) -> list[_Reading]:
    text = document.text.lower()
    if disguised := sorted((view for view in seen if view.replaces), key=lambda view: view.start):
        # What is disguised reads like nothing as it stands; what is not must still be read.
        plain = chunks_of(text, _legible(text, document.prose(), disguised))
    else:
        plain = list(chunks())
    # A sentence that goes on in the next line, or in the next message, is one to its reader.
    readings = [_Reading("plain", _WRAPPED.sub(" ", text), plain, None)]
    for view in seen:
        lower = view.text.lower()
        own, span = chunks_of(lower, [(0, len(lower))]), (view.start, view.end)
        readings.append(_Reading(view.name, _WRAPPED.sub(" ", lower), own, span, view.unfolded))
    return readings


def _legible(text: str, prose: list[tuple[int, int]], disguised: list[View]) -> list[tuple[int, int]]:
    """Return the running text outside of what is disguised, and the sentences in it that read like English."""
    pieces = []
    for start, end in prose:
        for view in disguised:
            if start < view.end and view.start < end:
                pieces.append((start, max(start, view.start)))
                inside = _SENTENCE.finditer(text, max(start, view.start), min(end, view.end))
                pieces += [m.span() for m in inside if plain_words(m[0]) > 1]
                start = min(end, view.end)
        pieces.append((start, end))
    return [(start, end) for start, end in pieces if end > start]


def _fired(original: str, readings: list[_Reading], position: Position) -> _Fired:
    """Return the rules that fire."""
    asked = [_patterns(False), _patterns(True)] if position.is_indirect else [_patterns(False)]
    joined = Joined(reading.text for reading in readings)
    data = joined.text.encode("ascii")
    matches = {name: match for patterns in asked for name, match in patterns.present(data).items()}
    foreign: list[_Reading | None] = [None] if threats_scripts.speaks(original) else []
    foreign += [reading for reading in readings if threats_scripts.speaks(reading.unfolded)]
    names = {*matches, _FOREIGN.id} if foreign else set(matches)
    return _Fired(names, readings, joined, matches, foreign[0] if foreign else None)


def by_chance(tokens: int) -> float:
    """Return what the best stretch of a text of that many tokens scores more than that of a short one by chance.

    The maximum of many grows with the logarithm of their number. Bounded, so that filler cannot bury an attack.
    """
    return min(_MOST_BY_CHANCE, 0.5 * math.log(max(1.0, tokens / _LONG)))


def _strongest(readings: list[_Reading], model: LinearModel) -> _Strongest:
    best = _Strongest(float("-inf"))
    for reading in readings:
        expected = by_chance(sum(len(chunk.tokens) for chunk in reading.chunks))
        for chunk in reading.chunks:
            stretch = model.strongest(chunk)
            if stretch.score - expected > best.score:
                best = _Strongest(stretch.score - expected, reading, chunk, stretch)
    return best


def _sign(document: Document, name: str, fired: _Fired) -> _Sign:
    rule = _rules()[name]
    if rule is not _FOREIGN:
        match = fired.matches[name]
        index, start = fired.joined.origin(match.start)
        reading = fired.readings[index]
        return _Sign(rule, reading.view, document.place(*(reading.span or (match.start - start, match.end - start))))
    if fired.foreign and fired.foreign.span:
        return _Sign(rule, fired.foreign.view, document.place(*fired.foreign.span))
    return _Sign(rule, "plain", document.place_raw(*(threats_scripts.place(document.original) or (0, 0))))


def _model_sign(document: Document, family: str, found: _Strongest) -> _Sign:
    reading, chunk, stretch = found.reading, found.chunk, found.stretch
    start, end = token_span(chunk, stretch.first, stretch.last)
    span = reading.span or (chunk.offset + start, chunk.offset + end)
    rule = ThreatRule("model.stretch", family, found.score, "", "reads like texts that attack a model")
    return _Sign(rule, reading.view, document.place(*span))


def _threat(sign: _Sign, confidence: float, position: Position) -> Threat:
    rule, place = sign.rule, sign.place
    why = f"{rule.explanation[0].upper()}{rule.explanation[1:]}."
    return Threat(
        rule.family, rule.id, why, confidence, position.is_indirect, place.pointer, place.start, place.end, sign.view
    )  # fmt: skip
