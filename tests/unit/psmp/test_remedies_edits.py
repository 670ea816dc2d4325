"""Changing one part of a declaration."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from metaqore.psmp import edits

PAYLOAD: dict[str, Any] = {
    "type": "doc", "name": "x", "content": {"a": {"b": 1, "c~/": 2}, "l": [1, 2, 3]}, "base_version": 1,
    "depends_on": [{"name": "p", "version": 4}, {"name": "q"}, {"name": "r"}],
    "claims": {"paths": ["a", "b"], "resources": ["db"]},
}  # fmt: skip


def test_an_entry_goes_as_a_whole_though_the_pointer_leads_into_it() -> None:
    assert edits.without(PAYLOAD, ["/depends_on/0/version"], 5)["depends_on"] == [{"name": "q"}, {"name": "r"}]
    assert edits.without(PAYLOAD, ["/claims/paths/1"], 5)["claims"] == {"paths": ["a"], "resources": ["db"]}


def test_without_its_base_it_is_as_if_made_from_the_head() -> None:
    assert edits.without(PAYLOAD, ["/base_version"], 5)["base_version"] == 5
    assert "base_version" not in edits.without(PAYLOAD, ["/base_version"], 0)


def test_without_a_part_of_the_content_the_head_s_stays() -> None:
    head = {"a": {"b": 9}}
    assert edits.without(PAYLOAD, ["/content/a/b"], 5, head)["content"]["a"] == {"b": 9, "c~/": 2}
    assert edits.without(PAYLOAD, ["/content/a/c~0~1"], 5, head)["content"]["a"] == {"b": 1}
    assert edits.without(PAYLOAD, ["/content"], 5, head)["content"] == head


def test_nothing_is_changed_in_place() -> None:
    before = str(PAYLOAD)
    edits.without(PAYLOAD, ["/depends_on/1", "/content/l/1", "/claims/paths/0", "/base_version"], 3, {})
    edits.put(PAYLOAD, ("content", "a", "b"), 7)
    assert str(PAYLOAD) == before


@given(st.sets(st.integers(0, 11)))
def test_indexes_are_those_of_the_declaration_as_it_was(out: set[int]) -> None:
    payload = {"depends_on": [{"name": str(n)} for n in range(12)]}
    left = edits.without(payload, [f"/depends_on/{n}" for n in out], 1)["depends_on"]
    assert [each["name"] for each in left] == [str(n) for n in range(12) if n not in out]
