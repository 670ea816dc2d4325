"""Taking a change back out of the one that followed it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from metaqore.cli.demo.edits import Versions, split, taken_back
from metaqore.cli.demo.scenario import shipped
from metaqore.psmp.merge import merge_text

BASE = "".join(f"{number}\n" for number in range(30))


def replaced(text: str, *numbers: int) -> str:
    for number in numbers:
        text = text.replace(f"\n{number}\n", f"\nnew {number}\n")
    return text


def test_what_was_taken_back_is_the_second_change_alone() -> None:
    assert taken_back(BASE, replaced(BASE, 5), replaced(BASE, 5, 20)) == replaced(BASE, 20)


def test_a_change_on_top_of_another_cannot_be_had_without_it() -> None:
    first = replaced(BASE, 5)
    assert taken_back(BASE, first, first.replace("new 5", "newer 5")) is None


def test_a_change_that_only_takes_the_first_one_back_is_no_edit() -> None:
    assert taken_back(BASE, replaced(BASE, 5), BASE) is None


def test_successive_changes_of_different_places_make_one_group() -> None:
    texts = (BASE, replaced(BASE, 3), replaced(BASE, 3, 12), replaced(BASE, 3, 12, 25))

    [edits], collisions = split(Versions("file", ("a", "b", "c", "d"), texts))

    assert edits.edits == (replaced(BASE, 3), replaced(BASE, 12), replaced(BASE, 25))
    assert (edits.merged, edits.origin, collisions) == (texts[3], "b..d", [])


def test_what_can_be_taken_back_but_not_merged_again_is_no_group() -> None:
    texts = tuple("".join(f"{letter}\n" for letter in word) for word in ("aaba", "aaaba", "aabb"))
    assert taken_back(*texts) == texts[2], "the diff sees the first change in the second"

    groups, _ = split(Versions("file", ("1", "2", "3"), texts))

    assert groups == []


LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d\n"]), max_size=12).map("".join)


@given(st.lists(LINES, min_size=3, max_size=6))
def test_whatever_the_history_edits_merge_in_any_order_and_collisions_do_not(texts: list[str]) -> None:
    names = tuple(map(str, range(len(texts))))

    groups, collisions = split(Versions("file", names, tuple(texts)))

    for group in groups:
        assert len(group.edits) > 1
        for order in (group.edits, group.edits[::-1]):
            text = order[0]
            for edit in order[1:]:
                text = merge_text(group.base, text, edit).merged
            assert text == group.merged
    for collision in collisions:
        assert not merge_text(collision.base, collision.first, collision.second).clean


def test_the_shipped_scenario_has_enough_of_everything() -> None:
    history = shipped()

    assert len(history.edits) > 3
    assert len(history.collisions) >= 3
    assert len(history.changes) > 500
    assert all(change.subject and change.path for change in history.changes)
