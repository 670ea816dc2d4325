"""Merging JSON documents: laws that hold for any document, and what arrays become."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from metaqore.errors import InvalidInput
from metaqore.psmp.merge import JsonConflict, merge_json
from metaqore.psmp.merge_json import same_json

SCALARS = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "x", "y"])
NAMES = st.sampled_from(["a", "b", "id", "a/b", "~"])
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
TREES = st.recursive(SCALARS, lambda inner: st.dictionaries(NAMES, inner, max_size=4), max_leaves=10)


@given(DOCUMENTS, DOCUMENTS)
def test_a_side_that_did_nothing_takes_the_other(base: Any, changed: Any) -> None:
    for sides in ((base, changed), (changed, base), (changed, changed)):
        result = merge_json(base, *sides)

        assert result.clean
        assert same_json(changed, result.merged)


@given(DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_swapping_the_sides_never_changes_what_is_in_conflict(base: Any, ours: Any, theirs: Any) -> None:
    here, there = merge_json(base, ours, theirs), merge_json(base, theirs, ours)

    assert here.clean == there.clean
    assert sorted((each.pointer, each.type) for each in here.conflicts) == sorted(
        (each.pointer, each.type) for each in there.conflicts
    )


@given(DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_merging_changes_no_input(base: Any, ours: Any, theirs: Any) -> None:
    before = copy.deepcopy((base, ours, theirs))

    merge_json(base, ours, theirs, prefer="theirs")

    assert before == (base, ours, theirs)


def leaves(value: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    if not isinstance(value, dict) or not value:
        return {path: value}
    found = {}
    for name, member in value.items():
        found |= leaves(member, (*path, name))
    return found


@settings(max_examples=300)
@given(TREES, TREES, TREES)
def test_a_clean_merge_of_trees_loses_no_edit_of_either_side(base: Any, ours: Any, theirs: Any) -> None:
    result = merge_json(base, ours, theirs)

    if result.clean:
        merged, before = leaves(result.merged), leaves(base)
        for side in (ours, theirs):
            for path, value in leaves(side).items():
                if value != {} and not (path in before and same_json(before[path], value)):
                    assert path in merged
                    assert same_json(merged[path], value)


@given(st.data())
def test_edits_of_different_members_always_merge(data: st.DataObject) -> None:
    base = {"a": {"x": 1, "y": 1}, "b": [1, 2], "c": 3}
    ours, theirs = copy.deepcopy(base), copy.deepcopy(base)
    ours["a"]["x"] = data.draw(DOCUMENTS)  # type: ignore[index]
    ours["new"] = 1
    theirs["a"]["y"] = data.draw(DOCUMENTS)  # type: ignore[index]
    del theirs["c"]

    result = merge_json(base, ours, theirs)

    expected = {"a": {"x": ours["a"]["x"], "y": theirs["a"]["y"]}, "b": [1, 2], "new": 1}  # type: ignore[index]
    assert result.clean
    assert same_json(expected, result.merged)


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "pointer", "kind"),
    [
        ({"a": 1}, {"a": 2}, {"a": 3}, "/a", "edit/edit"),
        ({"a": 1}, {"a": 2}, {}, "/a", "edit/delete"),
        ({"a": {"x": 1}}, {}, {"a": {"x": 2}}, "/a", "edit/delete"),
        ({}, {"a": {"x": 1}}, {"a": {"y": 1}}, "/a", "add/add"),
        ({"a": [1]}, {"a": [2]}, {"a": [3]}, "/a", "array/array"),
        ({"a/b": {"~": 1}}, {"a/b": {"~": 2}}, {"a/b": {"~": 3}}, "/a~1b/~0", "edit/edit"),
        (1, 2, 3, "", "edit/edit"),
        ({"a": {}}, {"a": []}, {"a": 1}, "/a", "edit/edit"),
    ],
)
def test_a_contradiction_is_a_conflict_at_its_pointer(
    base: Any, ours: Any, theirs: Any, pointer: str, kind: str
) -> None:
    result = merge_json(base, ours, theirs)

    assert [(pointer, kind)] == [(each.pointer, each.type) for each in result.conflicts]
    assert not result.clean
    assert result.merged is None


def test_both_sides_may_delete_the_same_member() -> None:
    assert merge_json({"a": 1, "b": 1}, {"b": 1}, {"b": 2}).merged == {"b": 2}


@pytest.mark.parametrize(("base", "ours", "theirs"), [(1, True, 2), (0, False, 0.5), ([1], [True], [2])])
def test_true_is_not_one(base: Any, ours: Any, theirs: Any) -> None:
    assert not merge_json(base, ours, theirs).clean


def test_one_and_one_point_zero_are_the_same_number() -> None:
    assert merge_json({"a": 1}, {"a": 1.0}, {"a": 2}).merged == {"a": 2}


def test_elements_with_an_identity_merge_one_by_one() -> None:
    base = [{"id": 1, "x": 1}, {"id": 2, "x": 1}, {"id": 3, "x": 1}]
    ours = [{"id": 1, "x": 2}, {"id": 2, "x": 1}, {"id": 4}]
    theirs = [{"id": 3, "x": 1}, {"id": 1, "x": 1, "y": 1}, {"id": 2, "x": 1}, {"id": 5}]

    result = merge_json(base, ours, theirs)

    assert result.clean
    assert result.merged == [{"id": 1, "x": 2, "y": 1}, {"id": 2, "x": 1}, {"id": 4}, {"id": 5}]


def test_two_agents_may_both_append_a_named_element() -> None:
    result = merge_json([], [{"name": "a"}], [{"name": "b"}])

    assert result.merged == [{"name": "a"}, {"name": "b"}]


def test_a_conflict_inside_an_element_says_where() -> None:
    base, ours, theirs = ([{"id": 7, "x": x}] for x in (1, 2, 3))

    result = merge_json({"list": base}, {"list": ours}, {"list": theirs})

    inside = JsonConflict("/list/0/x", "edit/edit", 1, 2, 3)
    assert result.conflicts == (JsonConflict("/list", "array/array", base, ours, theirs, (inside,)),)


def test_an_edit_of_an_element_that_the_other_side_removed_is_not_lost() -> None:
    result = merge_json([{"id": 1, "x": 1}, {"id": 2}], [{"id": 2}], [{"id": 1, "x": 2}, {"id": 2}])

    assert [each.type for each in result.conflicts[0].inside] == ["edit/delete"]
    assert result.conflicts[0].inside[0].ours is UNSET


@pytest.mark.parametrize(
    ("base", "ours", "theirs"),
    [
        (["a"], ["a", "b"], ["a", "c"]),  # which of the two comes first?
        ([0, 0, 0], [0, 0], [0, 0, 0, 1]),  # which of the zeros went?
        ([{"id": 1}, {"id": 2}, {"id": 3}], [{"id": 2}, {"id": 1}, {"id": 3}], [{"id": 3}, {"id": 1}, {"id": 2}]),
        ([{"id": 1}, {"id": 1}], [{"id": 1}, {"id": 1}, {"id": 2}], [{"id": 1}]),
        (["a", "b", "c", "d"], ["b", "c", "d", "a"], ["b", "a", "c", "d"]),
    ],
)
def test_what_only_a_guess_could_merge_is_a_conflict_of_the_array(base: Any, ours: Any, theirs: Any) -> None:
    for sides in ((ours, theirs), (theirs, ours)):
        result = merge_json(base, *sides)

        assert [(each.pointer, each.type) for each in result.conflicts] == [("", "array/array")]


def test_values_with_an_unchanged_one_between_merge() -> None:
    assert merge_json(["a", "b", "c"], ["b", "c"], ["a", "b", "d"]).merged == ["b", "d"]


@given(st.data())
def test_named_elements_merge_as_members_of_an_object_would(data: st.DataObject) -> None:
    elements = st.dictionaries(st.integers(1, 5), SCALARS, max_size=5)
    sides = [data.draw(elements) for _ in range(3)]
    lists = [[{"id": name, "value": value} for name, value in sorted(side.items())] for side in sides]

    expected = merge_json(*({str(name): {"value": value} for name, value in side.items()} for side in sides))
    result = merge_json(*lists)

    assert expected.clean == result.clean
    if expected.clean:
        found = {str(each["id"]): {"value": each["value"]} for each in result.merged}
        assert same_json(expected.merged, found)


@pytest.mark.parametrize(("prefer", "expected"), [("ours", {"a": 2, "b": 2}), ("theirs", {"b": 2})])
def test_a_preferred_side_stands_in_conflicts_only(prefer: Any, expected: Any) -> None:
    result = merge_json({"a": 1, "b": 1}, {"a": 2, "b": 1}, {"b": 2}, prefer=prefer)

    assert expected == result.merged
    assert not result.clean


def test_documents_beyond_the_recursion_limit_are_refused() -> None:
    def nested(value: Any) -> Any:
        for _ in range(100_000):
            value = [value]
        return value

    with pytest.raises(InvalidInput, match="nested too deeply"):
        merge_json(nested(1), nested(2), nested(3))
