from __future__ import annotations

import pytest

from metaqore.errors import SettingsError
from metaqore.places import place_of


def test_what_is_a_name_is_taken_as_it_is_written() -> None:
    root = place_of("file.yaml", "12.1: {next: 12.10}\n12.10: {next: on}\non: {next: 12.1}")

    states = root.members()

    assert list(states) == ["12.1", "12.10", "on"]
    assert [place.members()["next"].known(states, "state") for place in states.values()] == ["12.10", "on", "12.1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "file.yaml:1: the file is empty"),
        ("a: [1", "file.yaml: is not valid YAML"),
        ("a: 1\na: 2", "file.yaml:2: a: is given twice"),
        ("[a]: 1", "a key is a text"),
        ("stat: 1", "stat: is unknown here, did you mean 'state'?: use state, end"),
        ("state: {}", "state: a single value is expected here"),
        ("state: 2001-99-99", "state: '2001-99-99' cannot be read"),
        ("state: 0", "state: 0: a whole number from 1 on"),
    ],
)
def test_a_mistake_is_said_with_file_line_and_key(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        place_of("file.yaml", text).only(("state",), ("end",))["state"].whole()

    assert said in raised.value.message
