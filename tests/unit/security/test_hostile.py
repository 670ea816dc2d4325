"""Texts written to make the reading slow: the time grows with their size, and not faster."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from metaqore.security import assess
from metaqore.security.look import look

#: Pieces that many rules begin with, or that make many views, values, tokens or matches of a text.
PIECES = [
    "http://", "@", "ignore previous ", "aWdub3JlIGFsbCBydWxlcw== ", "a\u200b", "іgnоrе ", "1234567 ",
    "John Smith has diabetes. ", "12 Main Street, Springfield, IL 62701 ", "gur naq lbh ",
]  # fmt: skip
#: Longer than what is only looked at before it is read.
_SMALL = 16_384


def seconds(read: Callable[[str], object], text: str) -> float:
    """Return the processor's time that reading a text takes."""
    start = time.process_time()
    read(text)
    return time.process_time() - start


def _look(text: str) -> object:
    return look(text, text, None)


def _ratio(read: Callable[[str], object], small: str, large: str) -> float:
    """Return how many times as long the large text takes; the two in turn, and of each the best."""
    pairs = [(seconds(read, small), seconds(read, large)) for _ in range(2)]
    return min(large for _, large in pairs) / min(small for small, _ in pairs)


def _numbers(size: int) -> str:
    return json.dumps(list(range(1_000_000, 1_000_000 + size // 9)))


def _words(size: int) -> str:
    return " ".join(f"{n * 7919 % 999_983:x}word{chr(97 + n % 26)}" for n in range(size // 12))


#: Name → the text of a size.
HOSTILE: dict[str, Callable[[int], str]] = {
    **{ascii(piece): lambda size, piece=piece: piece * (size // len(piece)) for piece in PIECES},  # type: ignore[misc]
    "numbers": _numbers,
    "words": _words,
}


@pytest.mark.alone
@pytest.mark.parametrize("read", [assess, _look], ids=["assess", "look"])
@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_twice_the_size_takes_no_more_than_twice_the_time(
    make: Callable[[int], str], read: Callable[[str], object]
) -> None:
    small, large = make(_SMALL), make(2 * _SMALL)
    read(large)

    # A busy machine may spoil a measurement, not five; what is quadratic takes four times as long in each.
    assert any(_ratio(read, small, large) <= 2.3 for _ in range(5))
