"""Path patterns, and whether two of them can name the same path. Pure.

A pattern is a relative path in which ``*`` stands for any characters of one segment, ``?`` for one character, and a
segment ``**`` for any number of whole segments, none included. Every other character stands for itself, brackets and
braces too: ``pages/[id].tsx`` is a file that many frameworks have.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

#: Segments of a pattern. The test of two patterns takes at most the product of their lengths.
MAX_SEGMENTS = 64

_Symbol = TypeVar("_Symbol")


@lru_cache(maxsize=8192)
def normalise(pattern: str) -> str:
    """Return the one spelling of a pattern: no leading ``/`` or ``./``, no empty segments; ``a/`` means ``a/**``.

    Raises:
        ValueError: it leaves the root by ``..``, names nothing, or has more than ``MAX_SEGMENTS`` segments.
    """
    given = unicodedata.normalize("NFC", pattern.strip()).replace("\\", "/")
    parts = [_squeezed(part) for part in given.split("/") if part not in ("", ".")]
    if given.endswith("/") and parts:
        parts.append("**")
    kept: list[str] = []
    for part in parts:
        if part != "**" or kept[-1:] != ["**"]:
            kept.append(part)
    if not kept or ".." in kept or len(kept) > MAX_SEGMENTS:
        raise ValueError(f"{pattern!r} is no path inside of the project: write one as in src/**/*.py, without '..'")
    return "/".join(kept)


def _squeezed(part: str) -> str:
    if part == "**":
        return part
    while "**" in part:
        part = part.replace("**", "*")
    return part


def literal_prefix(pattern: str) -> str:
    """Return the folder below which everything lies that a normalised pattern can name, with its slash; "" is the root.

    A pattern without wildcards is its own prefix.
    """
    kept: list[str] = []
    for part in pattern.split("/"):
        if "*" in part or "?" in part:
            return "".join(f"{each}/" for each in kept)
        kept.append(part)
    return pattern


def neighbours(pattern: str) -> tuple[list[str], tuple[str, str] | None]:
    """Return under which literal prefixes everything is that may overlap with a normalised pattern.

    Returns:
        Prefixes to look up as they are, and those in between two more, ``low < prefix < high`` in the order of
        code points; None where the pattern has no wildcard.
    """
    prefix = literal_prefix(pattern)
    keys = ["", *(prefix[: at + 1] for at, character in enumerate(prefix) if character == "/")]
    if prefix == pattern:
        # "src/**" names the folder src itself, too.
        return [*keys, prefix, f"{prefix}/"], None
    if not prefix:
        return keys, ("", "\U0010ffff")
    # "0" is the character after "/".
    return [*keys, prefix[:-1]], (prefix, f"{prefix[:-1]}0")


def overlap(one: str, other: str) -> bool:
    """Return whether some path matches both normalised patterns."""
    if one == other:
        return True
    return _meet(one.split("/"), other.split("/"), "**", _segments_meet)


def _segments_meet(one: str, other: str) -> bool:
    if one == other or one == "*" or other == "*":
        return True
    return _meet(one, other, "*", _characters_meet)


def _characters_meet(one: str, other: str) -> bool:
    return one == other or one == "?" or other == "?"


def _meet(
    one: Sequence[_Symbol], other: Sequence[_Symbol], star: _Symbol, meet: Callable[[_Symbol, _Symbol], bool]
) -> bool:
    """Return whether some sequence matches both; ``star`` stands for any sequence, of other symbols see ``meet``.

    Where both have a star, only what stands before the first and after the last of each can contradict: between
    them, each lets its star stand for whatever the other asks for.
    """
    starred, starred_too = star in one, star in other
    if starred and starred_too:
        ahead = zip(_until(one, star), _until(other, star), strict=False)
        behind = zip(_until(one[::-1], star), _until(other[::-1], star), strict=False)
        return all(meet(a, b) for a, b in ahead) and all(meet(a, b) for a, b in behind)
    if starred:
        return _fits(one, other, star, meet)
    if starred_too:
        return _fits(other, one, star, meet)
    return len(one) == len(other) and all(meet(a, b) for a, b in zip(one, other, strict=True))


def _until(symbols: Sequence[_Symbol], star: _Symbol) -> Sequence[_Symbol]:
    return symbols[: symbols.index(star)]


def _fits(
    pattern: Sequence[_Symbol], fixed: Sequence[_Symbol], star: _Symbol, meet: Callable[[_Symbol, _Symbol], bool]
) -> bool:
    """Return whether a pattern with stars meets one without: each stretch is put as far to the left as it goes."""
    first, *middle, last = _stretches(pattern, star)
    if len(first) + len(last) > len(fixed):
        return False
    end = len(fixed) - len(last)
    if not _at(first, fixed, 0, meet) or not _at(last, fixed, end, meet):
        return False
    at = len(first)
    for stretch in middle:
        while at + len(stretch) <= end and not _at(stretch, fixed, at, meet):
            at += 1
        if at + len(stretch) > end:
            return False
        at += len(stretch)
    return True


def _stretches(pattern: Sequence[_Symbol], star: _Symbol) -> list[Sequence[_Symbol]]:
    cuts = [-1, *(at for at, symbol in enumerate(pattern) if symbol == star), len(pattern)]
    return [pattern[start + 1 : end] for start, end in pairwise(cuts)]


def _at(
    stretch: Sequence[_Symbol], fixed: Sequence[_Symbol], at: int, meet: Callable[[_Symbol, _Symbol], bool]
) -> bool:
    return all(meet(symbol, fixed[at + i]) for i, symbol in enumerate(stretch))
