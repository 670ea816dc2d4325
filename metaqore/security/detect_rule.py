"""The shape of a content rule: a pattern that proposes and a judge that decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from metaqore.security.detect_patterns import Match, occurs
from metaqore.security.model import Label


class Hit(NamedTuple):
    """What a judge found inside a match: characters ``[start, end)`` of the text."""

    type: str
    label: Label
    confidence: float
    start: int
    end: int


#: (folded text, match) → the hit, or None where the match is nothing.
Judge = Callable[[str, Match], Hit | None]


class Rule(NamedTuple):
    """One content rule. ``pattern`` is RE2; ``judge`` looks only at a bounded stretch around the match."""

    id: str
    pattern: str
    judge: Judge


def before(text: str, start: int, size: int = 80) -> str:
    """Return up to ``size`` characters before ``start``, lower case."""
    return text[max(0, start - size) : start].lower()


def around(text: str, start: int, end: int, size: int = 80) -> str:
    """Return the stretch from ``size`` before ``start`` to ``size`` after ``end``, as written."""
    return text[max(0, start - size) : end + size]


def after(text: str, end: int, size: int = 40) -> str:
    """Return up to ``size`` characters after ``end``, lower case."""
    return text[end : end + size].lower()


class Words:
    """Any of some words or phrases (``a|b``, over several lines), in any case."""

    def __init__(self, alternatives: str) -> None:
        self._occur = occurs(rf"(?i)\b(?:{one_line(alternatives)})\b")

    def occur(self, text: str) -> bool:
        """Return whether one of them is in a folded text."""
        return bool(self._occur(text.encode()))


def one_line(pattern: str) -> str:
    """Return a pattern that was written over several lines, without the breaks."""
    return "".join(line.strip() for line in pattern.splitlines())
