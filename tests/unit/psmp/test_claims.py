"""The claims of a run: what is found by prefixes is what trying everything finds."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from metaqore.psmp import claims, globs
from metaqore.psmp.claims import ClaimIndex, Wanted
from metaqore.psmp.holdings import Claim, HoldingReads
from tests.unit.psmp.test_globs import PATTERNS

HELD = st.lists(st.tuples(st.integers(0, 3), PATTERNS), max_size=8)


class Stored:
    """Claims in a store that answers look-ups as the database does."""

    def __init__(self, rows: Collection[Claim]) -> None:
        self.rows = rows

    def claims(self, keys: Collection[Any], between: Collection[Any], limit: int) -> list[Claim]:
        """See ``HoldingReads.claims``."""
        return [
            row
            for row in self.rows
            if (row.project, row.kind, row.prefix) in keys
            or any(row.project == where and low < row.prefix < high for where, low, high in between)
        ]


def held(holder: int, pattern: str, *, seq: int = 0, principal: str = "ann", expires_at: int | None = None) -> Claim:
    return claims.row(
        "p", "path", pattern, holder=f"h{holder}", principal=principal, title="t", seq=seq, expires_at=expires_at
    )  # fmt: skip


def index(stored: Collection[Claim], asked: Collection[str]) -> ClaimIndex:
    wanted = Wanted()
    for pattern in asked:
        wanted.add("p", "path", pattern)
    return ClaimIndex(wanted, cast(HoldingReads, Stored(stored)))


@settings(max_examples=100)
@given(
    HELD,
    st.lists(st.tuples(st.integers(0, 3), st.lists(PATTERNS, max_size=3)), max_size=4),
    st.lists(PATTERNS, min_size=1, max_size=3),
)
def test_what_overlaps_is_found_whatever_the_run_itself_changes(
    stored: list[tuple[int, str]], changes: list[tuple[int, list[str]]], asked: list[str]
) -> None:
    rows = {(holder, pattern): held(holder, pattern) for holder, pattern in stored}
    known = index(rows.values(), asked)
    for holder, patterns in changes:
        known.put(f"h{holder}", [held(holder, pattern) for pattern in patterns])
        rows = {key: row for key, row in rows.items() if key[0] != holder}
        rows |= {(holder, pattern): held(holder, pattern) for pattern in patterns}
    for pattern in asked:
        found = claims.overlapping(known.near("p", "path", pattern), pattern)
        expected = [row for row in rows.values() if globs.overlap(row.pattern, pattern)]
        assert sorted((row.holder, row.pattern) for row in found) == sorted((r.holder, r.pattern) for r in expected)
        assert claims.overlapping(known.near("q", "path", pattern), pattern) == []


def test_who_stands_against_a_declaration() -> None:
    mine, other = held(1, "a"), held(2, "a")
    first = held(3, "a", seq=1, principal="bob", expires_at=100)
    own = held(4, "a", seq=2, principal="ann", expires_at=100)
    last = held(5, "a", seq=3, principal="bob", expires_at=100)
    assert claims.rivals([mine, other, first, last], "ann", "h1", 50) == [other, first, last]
    assert claims.rivals([first, own, last], "ann", "h1", 50) == [first]
    assert claims.rivals([first, last], "ann", "h1", 100) == []
    assert claims.rivals([first, last], "bob", "h1", 50) == []
