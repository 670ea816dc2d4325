"""Two path patterns overlap exactly where some path matches both: held against trying very many paths."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaqore.psmp import globs

#: Few characters and short, so that every path that can tell two patterns apart is among PATHS.
SEGMENTS = st.one_of(st.sampled_from(["**", "*", "a", "b"]), st.text("ab?*", min_size=1, max_size=3))
PATTERNS = st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join).map(globs.normalise)

_PARTS = ["".join(p) for n in (1, 2, 3, 4) for p in itertools.product("ab", repeat=n)]
_SHORT = [part for part in _PARTS if len(part) <= 3]


def matches(pattern: list[str], path: list[str]) -> bool:
    """Return whether a path matches, tried in every way."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(matches(pattern[1:], path[i:]) for i in range(len(path) + 1))
    return bool(path) and segment(pattern[0], path[0]) and matches(pattern[1:], path[1:])


def segment(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(segment(pattern[1:], text[i:]) for i in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and segment(pattern[1:], text[1:])


def witness(one: str, other: str) -> bool:
    """Return whether some path of up to six segments matches both; the segments that both accept are enough to try."""
    a, b = one.split("/"), other.split("/")
    pairs = [(x, y) for x in (*a, "*") for y in (*b, "*")]
    texts = _PARTS + [x + y + z for x, y, z in itertools.product(_SHORT, repeat=3) if len(x + y + z) <= 6]
    usable = {next((t for t in texts if segment(x, t) and segment(y, t)), None) for x, y in pairs if "**" not in (x, y)}
    parts = sorted(part for part in usable if part)
    return any(
        matches(a, list(path)) and matches(b, list(path))
        for length in range(1, 5)
        for path in itertools.product(parts, repeat=length)
    )


@settings(max_examples=120)
@given(PATTERNS, PATTERNS)
def test_patterns_overlap_exactly_where_a_path_matches_both(one: str, other: str) -> None:
    found = globs.overlap(one, other)

    assert found == globs.overlap(other, one)
    if found != witness(one, other):
        # Two patterns may need a path longer than those tried; never the other way round.
        assert found and (one + other).count("*") > 4, f"{one} and {other}: {found}"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("src/**", "src/a/b.py", True),
        ("src/**", "srcs/a.py", False),
        ("src/**", "src", True),
        ("**/*.py", "src/a/b.py", True),
        ("**/*.py", "**/*.js", False),
        ("src/*.py", "src/a/b.py", False),
        ("src/*.py", "src/test_*", True),
        ("src/*_test.py", "src/parse*.py", True),
        ("a/**/z", "a/b/**", True),
        ("a/**/z", "**/y", False),
        ("**", "any/thing", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("pages/[id].tsx", "pages/i.tsx", False),
        ("pages/[id].tsx", "pages/*.tsx", True),
        ("*a*b*", "axxb", True),
        ("*ab*ab*", "ab", False),
        ("a/**/b/**/c", "a/b/c", True),
        ("a/**/b/**/c", "a/c/b", False),
    ],
)
def test_known_pairs(one: str, other: str, expected: bool) -> None:
    assert globs.overlap(globs.normalise(one), globs.normalise(other)) is expected
    assert globs.overlap(globs.normalise(other), globs.normalise(one)) is expected


@pytest.mark.parametrize(
    ("given_as", "kept"),
    [
        ("./src//a.py", "src/a.py"),
        ("/src/", "src/**"),
        ("a/**/**/b", "a/**/b"),
        ("a***b/x", "a*b/x"),
        (" a\\b ", "a/b"),
    ],
)
def test_a_pattern_has_one_spelling(given_as: str, kept: str) -> None:
    assert globs.normalise(given_as) == kept
    assert globs.normalise(kept) == kept


@pytest.mark.parametrize("wrong", ["", "/", ".", "../x", "a/../b", "/".join("a" * 65)])
def test_what_is_no_path_inside_of_the_project_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="no path inside of the project"):
        globs.normalise(wrong)


@settings(max_examples=200)
@given(PATTERNS, PATTERNS)
def test_patterns_that_overlap_are_found_by_their_prefixes(one: str, other: str) -> None:
    """The look-up goes by literal prefixes: nothing that overlaps may be outside of what it looks at."""
    keys, between = globs.neighbours(one)
    theirs = globs.literal_prefix(other)

    if globs.overlap(one, other):
        inside = between is not None and between[0] < theirs < between[1]
        assert inside or theirs in keys, f"{one} would not find {other}, kept under {theirs!r}"


def test_the_look_up_leaves_out_other_folders() -> None:
    keys, between = globs.neighbours("src/api/*.py")

    assert keys == ["", "src/", "src/api/", "src/api"]
    assert between == ("src/api/", "src/api0")
    assert not "src/api/" < "src/apis/" < "src/api0"
    assert globs.neighbours("src/a.py") == (["", "src/", "src/a.py", "src/a.py/"], None)


def test_hostile_patterns_take_no_long_time() -> None:
    one = globs.normalise("/".join(["**", "a*a*a*a*a*a*b"] * 30))
    other = globs.normalise("/".join(["a" * 200] * 60))
    began = time.process_time()
    assert not globs.overlap(one, other)
    assert time.process_time() - began < 1
