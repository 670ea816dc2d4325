"""What is declared beside the content is merged entry by entry."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from metaqore.psmp.declaration import studied
from metaqore.psmp.merge_declared import Collision, merge_declared
from metaqore.psmp.model import Claims, Declaration


def declared(**parts: Any) -> Declaration:
    return msgspec.convert({"type": "doc", "name": "x", "content": 1, **parts}, Declaration)


def body(**parts: Any) -> dict[str, Any]:
    """Return what a version keeps of a declaration."""
    return msgspec.json.decode(studied(declared(**parts)).body, type=dict[str, Any])


def on(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [{"type": "doc", "name": name, **more} for name in names]


def merged(field: str, base: Any, head: Any, ours: Any) -> Any:
    """Merge one field and return it as JSON."""
    result = merge_declared(body(**{field: base}), body(**{field: head}), declared(**{field: ours}))
    return msgspec.to_builtins(getattr(result, field))


def names(dependencies: Any) -> list[str]:
    return [dependency["name"] for dependency in dependencies]


@pytest.mark.parametrize(
    ("base", "head", "ours", "expected"),
    [
        ("a", "a", "a", "a"), ("a", "ab", "a", "ab"), ("a", "a", "ab", "ab"), ("a", "ab", "ac", "acb"),
        ("ab", "a", "ab", "a"), ("ab", "ab", "b", "b"), ("ab", "b", "a", ""), ("", "a", "a", "a"),
        ("abc", "acd", "abc", "acd"),
    ],
)  # fmt: skip
def test_dependencies_that_either_side_gained_or_gave_up_are_kept_so(
    base: str, head: str, ours: str, expected: str
) -> None:
    assert "".join(names(merged("depends_on", on(*base), on(*head), on(*ours)))) == expected


def test_a_dependency_that_both_moved_to_another_version_is_a_collision_where_it_stands() -> None:
    with pytest.raises(Collision) as collision:
        merged("depends_on", on("z", "a", version=1), on("z", "a", version=2), [*on("z", version=1),
                                                                               *on("a", version=3)])  # fmt: skip
    assert collision.value.pointer == "/depends_on/1"


def test_a_dependency_that_one_changed_and_the_other_gave_up_is_a_collision() -> None:
    with pytest.raises(Collision):
        merged("depends_on", on("a", version=1), on("a", version=2), [])


def test_requirements_are_told_apart_by_ecosystem_name_and_scope() -> None:
    base = [{"name": "requests", "specifier": ">=2"}]
    dev = {"name": "requests", "specifier": "<3", "scope": "dev"}
    npm = {"name": "left-pad", "specifier": "^1", "ecosystem": "npm"}

    kept = merged("requires", base, [*base, dev], [*base, npm])

    assert [(r["name"], r["scope"], r["ecosystem"]) for r in kept] == [
        ("requests", "runtime", "pypi"), ("left-pad", "runtime", "npm"), ("requests", "dev", "pypi"),
    ]  # fmt: skip


def test_claims_are_merged_as_sets_whichever_way_they_are_written() -> None:
    result = merge_declared(
        body(claims=["a", "b"]),
        body(claims={"paths": ["a", "c"], "resources": ["r"]}),
        declared(claims=["a", "b", "d"]),
    )

    assert result.claims == Claims(paths=("a", "d", "c"), resources=("r",))
    same = declared(claims=["a"])
    assert merge_declared(body(claims=["a"]), body(claims=["a"]), same).claims == ("a",)


def test_metadata_is_merged_as_a_document() -> None:
    kept = merged("metadata", {"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 1, "c": 1})

    assert kept == {"a": 2, "b": 1, "c": 1}
    with pytest.raises(Collision) as collision:
        merged("metadata", {"a": 1}, {"a": 2}, {"a": 3})
    assert collision.value.pointer == "/metadata/a"
