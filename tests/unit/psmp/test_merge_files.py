"""Merging lists of files."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from metaqore.psmp.merge import merge_files

FILES = st.dictionaries(
    st.sampled_from(["a", "b", "a/b", "c"]), st.sampled_from(["", "1\n", "2\n", "1\n2\n3\n", "0\n2\n3\n"])
)


def test_each_file_merges_by_its_lines() -> None:
    base = {"edited": "a\nb\nc\n", "same": "x\n", "ours deletes": "x\n"}
    ours = {"edited": "A\nb\nc\n", "same": "x\n", "ours adds": "x\n"}
    theirs = {"edited": "a\nb\nC\n", "same": "x\n", "ours deletes": "x\n", "theirs adds": "y\n"}

    result = merge_files(base, ours, theirs)

    expected = {"edited": "A\nb\nC\n", "ours adds": "x\n", "same": "x\n", "theirs adds": "y\n"}
    assert result.clean
    assert list(expected.items()) == list(result.merged.items())


def test_two_texts_under_one_new_path_are_a_conflict() -> None:
    result = merge_files({}, {"f": "a\n"}, {"f": "b\n"})

    assert [(each.path, each.type, len(each.hunks)) for each in result.conflicts] == [("f", "add/add", 1)]
    assert result.merged["f"].startswith("<<<<<<< ours\n")


def test_an_edit_of_a_deleted_file_is_a_conflict_and_not_lost() -> None:
    for sides in (({}, {"f": "b\n"}), ({"f": "b\n"}, {})):
        result = merge_files({"f": "a\n"}, *sides)

        assert [(each.path, each.type) for each in result.conflicts] == [("f", "edit/delete")]
        assert result.merged == {"f": "b\n"}


def test_the_preferred_side_may_be_the_one_that_deleted() -> None:
    assert merge_files({"f": "a\n"}, {"f": "b\n"}, {}, prefer="theirs").merged == {}
    assert merge_files({"f": "a\n"}, {"f": "b\n"}, {}, prefer="ours").merged == {"f": "b\n"}


def test_an_empty_file_is_not_a_missing_one() -> None:
    assert merge_files({}, {"f": ""}, {}).merged == {"f": ""}
    assert not merge_files({"f": "a\n"}, {"f": ""}, {}).clean


def test_a_file_where_the_other_side_needs_a_folder_is_a_conflict() -> None:
    result = merge_files({}, {"a": "x\n"}, {"a/b/c": "y\n"})

    assert [(each.path, each.type) for each in result.conflicts] == [("a", "file/folder")]


@given(FILES, FILES)
def test_a_side_that_did_nothing_takes_the_other(base: dict[str, str], changed: dict[str, str]) -> None:
    for sides in ((base, changed), (changed, base), (changed, changed)):
        result = merge_files(base, *sides)

        assert changed == result.merged
        assert result.clean == (not ("a" in changed and "a/b" in changed))


@given(FILES, FILES, FILES)
def test_swapping_the_sides_never_changes_which_files_are_in_conflict(
    base: dict[str, str], ours: dict[str, str], theirs: dict[str, str]
) -> None:
    here, there = merge_files(base, ours, theirs), merge_files(base, theirs, ours)

    assert [(each.path, each.type) for each in here.conflicts] == [(each.path, each.type) for each in there.conflicts]
