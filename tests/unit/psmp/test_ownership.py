"""Fields and their managers: who may change what, who loses what, what is shared."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaqore.psmp import ownership
from metaqore.psmp.ownership import Field, canonical_pointer, hash_at, inside, value_at

DOCUMENT: dict[str, Any] = {"server": {"port": 80, "host": "a"}, "tags": ["x", "y"], "n": None}


def owned(content: Any, pointer: str, manager: str, since: int = 1) -> Field:
    return Field(pointer, manager, hash_at(content, pointer) or "", since)


def clashes(
    declared: Any, fields: list[Field], *, force: tuple[str, ...] = (), by: str = "bob", base: Any = None
) -> list[str]:
    found = ownership.clashes(
        declared, fields, by, force, base=None if base is None else lambda: base, present=lambda: DOCUMENT
    )
    return [clash.field.pointer for clash in found]


def shown(fields: list[Field]) -> set[tuple[str, str]]:
    return {(field.pointer, field.manager) for field in fields}


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [("", DOCUMENT), ("/server/port", 80), ("/tags/1", "y"), ("/n", None), ("/tags/2", ownership.ABSENT),
     ("/server/port/x", ownership.ABSENT), ("/tags/-", ownership.ABSENT), ("/N", ownership.ABSENT)],
)  # fmt: skip
def test_a_pointer_names_a_value(pointer: str, expected: Any) -> None:
    assert value_at(DOCUMENT, pointer) is expected or value_at(DOCUMENT, pointer) == expected


def test_a_field_that_is_null_is_not_a_field_that_is_absent() -> None:
    assert hash_at(DOCUMENT, "/n") is not None
    assert hash_at(DOCUMENT, "/m") is None


def test_a_path_in_a_list_of_files_may_be_written_with_its_slashes() -> None:
    files = {"files": {"src/a.py": "x"}}
    assert canonical_pointer(files, "/files/src/a.py") == "/files/src~1a.py"
    assert canonical_pointer(files, "/files/src~1a.py") == "/files/src~1a.py"
    assert value_at(files, "/files/src~1a.py") == "x"
    assert canonical_pointer({"files": [1]}, "/files/0/a") == "/files/0/a"


def test_to_change_or_remove_what_another_manages_is_a_clash() -> None:
    fields = [owned(DOCUMENT, "/server/port", "ann")]
    assert clashes({**DOCUMENT, "server": {"port": 81, "host": "a"}}, fields) == ["/server/port"]
    assert clashes({**DOCUMENT, "server": {"host": "a"}}, fields) == ["/server/port"]
    assert clashes({**DOCUMENT, "server": {"port": 80, "host": "b"}}, fields) == []
    assert clashes({**DOCUMENT, "server": {"port": 81, "host": "a"}}, fields, by="ann") == []


def test_what_was_not_changed_since_the_base_is_no_clash() -> None:
    base = {**DOCUMENT, "server": {"port": 79, "host": "a"}}
    fields = [owned(DOCUMENT, "/server/port", "ann")]
    assert clashes(base, fields, base=base) == []
    assert clashes({**base, "server": {"port": 78, "host": "a"}}, fields, base=base) == ["/server/port"]


def test_force_takes_over_a_field_and_all_that_is_in_it() -> None:
    fields = [owned(DOCUMENT, "/server/port", "ann"), owned(DOCUMENT, "/tags", "cy")]
    declared = {**DOCUMENT, "server": {"port": 81, "host": "a"}}
    assert clashes(declared, fields, force=("/server",)) == []
    assert shown(ownership.managed(declared, fields, "bob", (), ("/server",), 2)) == {
        ("/server", "bob"),
        ("/tags", "cy"),
    }


def test_force_on_a_part_leaves_the_rest_with_its_manager() -> None:
    fields = [owned(DOCUMENT, "/server", "ann")]
    part = {**DOCUMENT, "server": {"port": 81, "host": "a"}}
    more = {**DOCUMENT, "server": {"port": 81, "host": "b"}}
    assert clashes(part, fields, force=("/server/port",)) == []
    assert clashes(more, fields, force=("/server/port",)) == ["/server"]
    after = ownership.managed(part, fields, "bob", ("/server/port",), ("/server/port",), 2)
    assert shown(after) == {("/server", "ann"), ("/server/port", "bob")}
    assert clashes(DOCUMENT, after, by="ann") == ["/server/port"]


def test_the_same_value_is_managed_together() -> None:
    fields = [owned(DOCUMENT, "/server/port", "ann")]
    after = ownership.managed(DOCUMENT, fields, "bob", ("/server/port",), (), 2)
    assert shown(after) == {("/server/port", "ann"), ("/server/port", "bob")}
    changed = {**DOCUMENT, "server": {"port": 81, "host": "a"}}
    assert clashes(changed, after, by="ann") == ["/server/port"]


def test_a_field_that_is_no_longer_named_is_given_up() -> None:
    fields = [owned(DOCUMENT, "/server/port", "ann"), owned(DOCUMENT, "/tags", "ann")]
    assert shown(ownership.managed(DOCUMENT, fields, "ann", ("/tags",), (), 2)) == {("/tags", "ann")}
    assert shown(ownership.managed(DOCUMENT, fields, "ann", (), (), 2)) == set()


def test_who_names_no_fields_keeps_its_own_at_their_new_values() -> None:
    fields = [owned(DOCUMENT, "/server/port", "ann")]
    changed = {**DOCUMENT, "server": {"port": 81, "host": "a"}}
    assert ownership.managed(changed, fields, "ann", None, (), 2) == [owned(changed, "/server/port", "ann")]


def test_a_change_that_was_let_through_makes_its_author_the_manager() -> None:
    fields = [owned(DOCUMENT, "/server/port", "ann")]
    changed = {**DOCUMENT, "server": {"port": 81, "host": "a"}}
    assert shown(ownership.managed(changed, fields, "bob", None, (), 2)) == {("/server/port", "bob")}
    assert ownership.managed({}, fields, "bob", None, (), 2) == []


KEYS = st.sampled_from(["a", "b", "a/b"])
VALUES = st.recursive(st.integers(0, 2), lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=6)
POINTERS = st.sampled_from(["", "/a", "/b", "/a/a", "/a/b", "/a~1b", "/b/a"])


@given(VALUES, VALUES, st.lists(POINTERS, max_size=3), st.lists(POINTERS, max_size=3), st.lists(POINTERS, max_size=2))
def test_whatever_is_admitted_every_manager_has_the_value_that_is_there(
    old: Any, new: Any, anns: list[str], bobs: list[str], taken: list[str]
) -> None:
    fields = ownership.managed(old, [], "ann", anns, (), 1)

    after = ownership.managed(new, fields, "bob", bobs, taken, 2)

    assert all(field.value_hash == hash_at(new, field.pointer) for field in after)
    assert len(shown(after)) == len(after)
    clashing = {c.field.pointer for c in ownership.clashes(new, fields, "bob", taken, base=None, present=lambda: old)}
    for field in fields:
        changed = hash_at(new, field.pointer) != field.value_hash
        covered = any(inside(field.pointer, pointer) or inside(pointer, field.pointer) for pointer in taken)
        assert (field.pointer in clashing) <= changed
        assert changed <= (field.pointer in clashing or covered), "a managed field was overwritten in silence"
