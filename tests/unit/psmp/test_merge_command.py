"""``metaqore merge``."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from metaqore.cli.merge import command


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def merge(base: bytes, ours: bytes, theirs: bytes, *options: str) -> Result:
    for name, content in (("base", base), ("ours", ours), ("theirs", theirs)):
        Path(name).write_bytes(content)
    return CliRunner().invoke(command, [*options, "base", "ours", "theirs"])


def test_a_clean_merge_is_printed_and_exits_0() -> None:
    result = merge(b"a\nb\nc\n", b"A\nb\nc\n", b"a\nb\nC\n")

    assert (result.exit_code, result.stdout_bytes) == (0, b"A\nb\nC\n")


def test_a_conflict_is_marked_with_the_names_of_the_files_and_exits_1() -> None:
    result = merge(b"a\n", b"b\n", b"c\n", "--diff3")

    expected = b"<<<<<<< ours\nb\n||||||| base\na\n=======\nc\n>>>>>>> theirs\n"
    assert (1, expected) == (result.exit_code, result.stdout_bytes)


def test_bytes_that_are_no_text_come_out_as_they_went_in() -> None:
    result = merge(b"a\r\n\xff\r\nc\r\n", b"A\r\n\xff\r\nc\r\n", b"a\r\n\xff\r\n\xe9")

    assert (result.exit_code, result.stdout_bytes) == (0, b"A\r\n\xff\r\n\xe9")


def test_json_documents_merge_by_member() -> None:
    result = merge(b'{"a":1,"b":1}', b'{"a":2,"b":1}', b'{"a":1,"b":"\xc3\xa9"}', "--json")

    assert (result.exit_code, result.stdout) == (0, '{\n  "a": 2,\n  "b": "é"\n}\n')


def test_a_conflict_of_json_documents_is_marked_and_its_pointer_told() -> None:
    result = merge(b'{"a":1,"b":1}', b'{"a":2,"b":3}', b'{"a":4,"b":1}', "--json")

    expected = '{\n<<<<<<< ours\n  "a": 2,\n=======\n  "a": 4,\n>>>>>>> theirs\n  "b": 3\n}\n'
    assert (1, expected) == (result.exit_code, result.stdout)
    assert result.stderr == "conflict (edit/edit) at /a\n"


@pytest.mark.parametrize(
    ("content", "options", "told"),
    [
        (b"a\0b", (), "theirs is a binary file"),
        (b"{", ("--json",), "theirs is not a JSON document"),
        (b'{"a":1,"a":2}', ("--json",), "the same member twice"),
        (b"[NaN]", ("--json",), "NaN is not JSON"),
        (b"{}", ("--json", "--diff3"), "--diff3 is for text"),
    ],
)
def test_input_that_cannot_be_used_exits_2_and_says_why(content: bytes, options: tuple[str, ...], told: str) -> None:
    result = merge(b"{}", b"{}", content, *options)

    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stdout == ""


def test_a_missing_file_exits_2() -> None:
    result = CliRunner().invoke(command, ["no", "such", "files"])

    assert result.exit_code == 2
    assert "'no' does not exist" in result.stderr
