"""Ranges of artifact versions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaqore.psmp.version_range import MAX_COMPARATORS, parse_range

comparators = st.tuples(st.sampled_from(["", "=", "==", "!=", ">=", ">", "<=", "<"]), st.integers(0, 12))


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("*", [1, 9], []), ("3", [3], [2, 4]), ("==3", [3], [2]), ("!=3", [2, 4], [3]), (">=2,<4", [2, 3], [1, 4]),
        (" >= 2 , <= 4 ", [2, 4], [1, 5]), (">2", [3], [2]), ("<2", [1], [2]),
    ],
)  # fmt: skip
def test_a_range_holds_what_satisfies_every_comparator(text: str, inside: list[int], outside: list[int]) -> None:
    found = parse_range(text)

    assert all(version in found for version in inside)
    assert not any(version in found for version in outside)


@pytest.mark.parametrize("text", ["", " ", "1.2", "^1", ">=2,", "a", ">==2", "1" * 10, ",".join("1" * 17)])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no range of versions"):
        parse_range(text)


@given(st.lists(comparators, min_size=1, max_size=MAX_COMPARATORS), st.integers(1, 15))
def test_the_newest_is_the_highest_that_is_in_the_range(parts: list[tuple[str, int]], head: int) -> None:
    found = parse_range(",".join(f"{operator}{bound}" for operator, bound in parts))

    inside = [version for version in range(1, head + 1) if version in found]
    assert found.newest(head) == max(inside, default=None)
