from __future__ import annotations

import re

import pytest

from api.patterns import ecma, portable


@pytest.mark.parametrize(
    ("python", "document"),
    [
        (r"[a-z]{1,3}\Z", "^[a-z]{1,3}$"),
        (r"^[a-z]{1,3}\Z", "^[a-z]{1,3}$"),
        ("^wait=[0-9]{1,2}$", "^wait=[0-9]{1,2}$"),
        (r"a|b\Z", "^(?:a|b$)"),
        ("prefix_", "^prefix_"),
    ],
)
def test_a_pattern_of_the_document_says_itself_where_it_begins_and_ends(python: str, document: str) -> None:
    assert ecma(python) == document
    for text in ("a", "b", "abc", "xabc", "abcd", "wait=1", "prefix_x", "my prefix_"):
        assert bool(re.search(document, text)) == bool(re.match(python, text)), text


def test_a_property_that_is_called_pattern_is_left_alone() -> None:
    schema = {"type": "object", "properties": {"pattern": {"type": "string", "pattern": r"x\Z"}}, "required": []}

    assert portable({"schemas": [schema]}) == {
        "schemas": [{"type": "object", "properties": {"pattern": {"type": "string", "pattern": "^x$"}}, "required": []}]
    }
