from __future__ import annotations

import pytest

from metaqore.clock import from_rfc3339, to_rfc3339


@pytest.mark.parametrize("text", ["1970-01-01T00:00:00.000Z", "2026-11-22T09:34:18.678Z", "0001-01-01T00:00:00.000Z"])
def test_a_time_is_read_as_it_is_written(text: str) -> None:
    assert to_rfc3339(from_rfc3339(text)) == text


@pytest.mark.parametrize(("text", "shown"), [
    ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.000Z"),
    ("9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59.000Z"),
    ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00.000Z"),
])  # fmt: skip
def test_a_time_beyond_the_years_that_can_be_written_is_shown_as_the_nearest(text: str, shown: str) -> None:
    assert to_rfc3339(from_rfc3339(text)) == shown
