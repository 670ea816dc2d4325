from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import strict_json
from metaqore.errors import Malformed

names = st.text(st.sampled_from('ab"\\:{}[],é\u2028\x7f'), max_size=3)
leaves = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False) | names


class Pairs(list[Any]):
    """An object whose names may repeat."""


values = st.recursive(leaves, lambda v: st.lists(v, max_size=4) | st.lists(st.tuples(names, v), max_size=4).map(Pairs))


def written(value: Any, *, escape: bool) -> str:
    """Return JSON text, names repeated as they are; with ``escape``, every character of a string as an escape."""
    if isinstance(value, Pairs):
        return "{" + " , ".join(f"{written(k, escape=escape)}\n:{written(v, escape=escape)}" for k, v in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(written(v, escape=escape) for v in value) + "]"
    if isinstance(value, str) and escape:
        return '"' + "".join(f"\\u{ord(c):04x}" for c in value) + '"'
    return json.dumps(value)


def read_slowly(text: str) -> Any:
    """Read with the standard library; raise ValueError for a repeated name."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("duplicate")
        return found

    return json.loads(text, object_pairs_hook=once)


@given(values, st.booleans())
def test_exactly_what_repeats_no_name_is_read(value: Any, escape: bool) -> None:
    text = written(value, escape=escape)
    try:
        expected = read_slowly(text)
    except ValueError:
        with pytest.raises(Malformed, match="appears twice"):
            strict_json.loads(text.encode())
    else:
        assert strict_json.loads(text.encode()) == expected


def test_the_pointer_leads_to_the_repeated_name() -> None:
    with pytest.raises(Malformed) as caught:
        strict_json.loads(b'{"a": [0, {"x/y~": 1, "b": "\\"", "x/y~": 2}]}')

    assert caught.value.details["errors"][0]["pointer"] == "/a/1/x~1y~0"


def test_a_quotation_mark_hidden_in_an_escape_covers_no_repetition() -> None:
    # The escapes add as many quotation marks to what is written back as the lost name takes away.
    with pytest.raises(Malformed, match="'a' appears twice"):
        strict_json.loads(b'{"a": 1, "a": 2, "b": "\\u0022\\u0022"}')


@pytest.mark.parametrize("levels", [1, 31, 32])
def test_up_to_thirty_two_levels_are_read(levels: int) -> None:
    assert strict_json.loads(b"[" * levels + b"1" + b"]" * levels)
    assert strict_json.loads(b'{"a":' * levels + b"1" + b"}" * levels)


@pytest.mark.parametrize("levels", [33, 100, 900, 100_000])
def test_deeper_is_refused(levels: int) -> None:
    for text in (b"[" * levels + b"]" * levels, b'{"a":' * levels + b"1" + b"}" * levels):
        with pytest.raises(Malformed, match="deeper than 32"):
            strict_json.loads(text)


def test_as_many_values_as_allowed_are_read_and_no_more() -> None:
    assert len(strict_json.loads(b"[" + b"1," * 9_998 + b"1]")) == 9_999
    with pytest.raises(Malformed, match="more than 10000"):
        strict_json.loads(b"[" + b"1," * 9_999 + b"1]")


@given(st.integers())
def test_integers_are_read_where_every_reader_agrees_on_them(number: int) -> None:
    text = str(number).encode()
    if abs(number) <= 2**53 - 1:
        assert strict_json.loads(text) == number
    else:
        with pytest.raises(Malformed):
            strict_json.loads(text)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_finite_numbers_are_read(number: float) -> None:
    found = strict_json.loads(repr(number).encode())
    assert math.isclose(found, number)


@pytest.mark.parametrize(
    "text", [b"NaN", b"-Infinity", b"1e999", b"-1e999", b'"\\ud800"', b'"\\ud800\\ud800"', b'"\\udc00"', b"\xff",
             b'"\xed\xa0\x80"', b"\xef\xbb\xbf1", b"[1,]", b"{'a':1}", b"// x\n1", b"1 2", b"01", b'"\t"', b"", b" "],
)  # fmt: skip
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(Malformed):
        strict_json.loads(text)


def test_a_null_character_is_refused_where_it_is_one() -> None:
    with pytest.raises(Malformed) as caught:
        strict_json.loads(b'{"a": ["x", "y\\u0000"]}')
    assert caught.value.details["errors"][0]["pointer"] == "/a/1"
    with pytest.raises(Malformed):
        strict_json.loads(b'{"a\\u0000": 1}')
    assert strict_json.loads(b'{"pattern": "[\\\\u0000-\\\\u001f]"}') == {"pattern": "[\\u0000-\\u001f]"}
