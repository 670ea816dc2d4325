"""Merging text: laws that hold for any text, and agreement with git on any text."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaqore.psmp.merge import Labels, TextConflict, merge_text
from metaqore.psmp.merge_split import Effort

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

# Few different lines make many equal ones, where two shortest differences are easily told apart.
LINES = st.sampled_from(["a", "b", "c", "", "}", "  x", "line 1", "line 2", "é", "\x0b\x85"])
ENDS = st.sampled_from(["\n", "\n", "\r\n"])


@st.composite
def texts(draw: st.DrawFn, max_lines: int = 14) -> str:
    end = draw(ENDS)
    text = "".join(line + end for line in draw(st.lists(LINES, max_size=max_lines)))
    return text if draw(st.booleans()) else text.removesuffix("\n")


@st.composite
def edited(draw: st.DrawFn, text: str) -> str:
    lines = text.splitlines(keepends=True) if text.isascii() else text.split("\n")
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(lines)))
        new = [line + "\n" for line in draw(st.lists(LINES, max_size=3))]
        lines[at : at + draw(st.integers(0, 3))] = new
    return "".join(lines)


@st.composite
def three_texts(draw: st.DrawFn) -> tuple[str, str, str]:
    base = draw(texts())
    return base, draw(edited(base) | texts()), draw(edited(base) | texts())


def git_merge_file(folder: Path, base: str, ours: str, theirs: str, *options: str) -> tuple[int, str]:
    for name, text in (("base", base), ("ours", ours), ("theirs", theirs)):
        (folder / name).write_bytes(text.encode())
    command = ["git", "merge-file", "-p", "-q", *options, "ours", "base", "theirs"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    return done.returncode, done.stdout.decode()


@needs_git
@pytest.mark.parametrize("diff3", [False, True])
@settings(max_examples=100)
@given(sides=three_texts())
def test_every_merge_is_what_git_merge_file_prints(tmp_path: Path, diff3: bool, sides: tuple[str, str, str]) -> None:
    conflicts, printed = git_merge_file(tmp_path, *sides, *(["--diff3"] if diff3 else []))

    result = merge_text(*sides, diff3=diff3)

    assert (printed, conflicts) == (result.merged, len(result.conflicts))
    assert result.clean == (conflicts == 0)


def of_few_words(chance: random.Random) -> list[str]:
    """Three texts so unlike that no shortest difference is searched for."""
    words = [str(number) for number in range(chance.choice([2, 10, 400]))]
    base = chance.choices(words, k=1000)

    def changed() -> list[str]:
        return [word for old in base for word in ([old] if chance.random() < 0.6 else chance.choices(words, k=2))]

    return ["".join(f"{line}\n" for line in lines) for lines in (base, changed(), changed())]


def with_lone_lines(chance: random.Random) -> list[str]:
    """Three texts with long runs of lines that occur nowhere else, and frequent lines among them."""
    frequent = [f"frequent {number}" for number in range(chance.choice([1, 2, 3, 5]))]

    def changed(lines: list[str], side: str) -> list[str]:
        found = []
        for line in lines:
            if chance.random() < 0.05:
                found += [
                    f"{side} {chance.random()}" if chance.random() < 0.8 else chance.choice(frequent)
                    for _ in range(chance.choice([3, 10, 50, 120, 300]))
                ]
            if chance.random() < 0.9:
                found.append(line)
        return found

    base = changed(chance.choices(frequent + [f"line {number}" for number in range(30)], k=150), "base")
    sides = base, changed(base, "ours"), changed(base, "theirs")
    return ["".join(f"{line}\n" for line in lines) for lines in sides]


def edited_here_and_there(chance: random.Random, base: list[str]) -> list[str]:
    lines = list(base)
    for _ in range(40):
        at = chance.randrange(len(lines))
        match chance.randrange(4):
            case 0:
                lines[at] = f"{chance.random()}"
            case 1:
                lines[at:at] = [chance.choice(base)] * chance.choice([1, 9])
            case 2:
                del lines[at : at + chance.choice([1, 30])]
            case _:
                lines[at : at + 20] = lines[at : at + 20][::-1]
    return lines


def of_repeated_lines(chance: random.Random) -> list[str]:
    """Three texts of thousands of lines that are mostly the same: one line, two in turn, or words far apart."""
    word = chance.choice(["same", "{number}"])
    base = [line for number in range(12) for line in [word.format(number=number)] + [chance.choice(["", "}"])] * 250]
    sides = base, edited_here_and_there(chance, base), edited_here_and_there(chance, base)
    return ["".join(f"{line}\n" for line in lines) for lines in sides]


def of_moved_blocks(chance: random.Random) -> list[str]:
    """Three texts, of which one has the blocks of the base in another order."""
    blocks = [[f"{block} {line}" for line in range(chance.choice([1, 40]))] for block in range(40)]
    base = [line for block in blocks for line in block]
    moved = [line for block in chance.choice([blocks[::-1], chance.sample(blocks, len(blocks))]) for line in block]
    return ["".join(f"{line}\n" for line in lines) for lines in (base, moved, edited_here_and_there(chance, base))]


def test_thousands_of_equal_lines_with_few_edits_cost_few_steps() -> None:
    base = ["same\n"] * 20_000
    ours, theirs = list(base), list(base)
    ours[4000], theirs[16_000] = "ours\n", "theirs\n"
    ours[8000:8000] = ["new\n"]

    merged = merge_text("".join(base), "".join(ours), "".join(theirs), effort=Effort(200))

    expected = [*ours[:16_001], "theirs\n", *ours[16_002:]]
    assert (merged.clean, merged.merged) == (True, "".join(expected))


@needs_git
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("long_texts", [of_few_words, with_lone_lines, of_repeated_lines, of_moved_blocks])
def test_long_texts_merge_as_git_merges_them(
    tmp_path: Path, long_texts: Callable[[random.Random], list[str]], seed: int
) -> None:
    base, ours, theirs = long_texts(random.Random(seed))

    _, printed = git_merge_file(tmp_path, base, ours, theirs)

    assert printed == merge_text(base, ours, theirs).merged


@given(three_texts())
def test_a_side_that_did_nothing_takes_the_other(sides: tuple[str, str, str]) -> None:
    base, changed, _ = sides

    for result in (
        merge_text(base, base, changed),
        merge_text(base, changed, base),
        merge_text(base, changed, changed),
    ):
        assert result.clean
        assert changed == result.merged
        assert result.conflicts == ()


@given(three_texts())
def test_swapping_the_sides_never_changes_what_is_clean(sides: tuple[str, str, str]) -> None:
    base, ours, theirs = sides

    here, there = merge_text(base, ours, theirs), merge_text(base, theirs, ours)

    assert here.clean == there.clean
    if here.clean:
        assert here.merged == there.merged


@given(st.data())
def test_edits_with_an_untouched_line_between_always_merge(data: st.DataObject) -> None:
    lines = [f"line {number}\n" for number in range(data.draw(st.integers(3, 12)))]
    first = data.draw(st.integers(0, len(lines) - 3))
    second = data.draw(st.integers(first + 2, len(lines) - 1))
    ours, theirs, both = list(lines), list(lines), list(lines)
    new = data.draw(st.sampled_from(["", "changed\n", "two\nlines\n"]))
    ours[first] = both[first] = new + "of ours\n"
    theirs[second] = both[second] = new

    result = merge_text("".join(lines), "".join(ours), "".join(theirs))

    assert result.clean
    assert "".join(both) == result.merged


@given(st.data())
def test_a_clean_merge_holds_every_line_put_in_and_none_taken_out(data: st.DataObject) -> None:
    base = [f"line {number}\n" for number in range(10)]
    kept = {}
    new = {}
    sides = {}
    for side in ("ours", "theirs"):
        taken_out = data.draw(st.sets(st.integers(0, 9), max_size=3))
        put_in = data.draw(st.sets(st.integers(0, 9), max_size=3))
        kept[side] = {line for at, line in enumerate(base) if at not in taken_out}
        new[side] = {f"{side} {at}\n" for at in put_in}
        sides[side] = "".join(
            (line if at not in taken_out else "") + (f"{side} {at}\n" if at in put_in else "")
            for at, line in enumerate(base)
        )

    result = merge_text("".join(base), sides["ours"], sides["theirs"])

    if result.clean:
        expected = (kept["ours"] & kept["theirs"]) | new["ours"] | new["theirs"]
        assert sorted(expected) == sorted(result.merged.splitlines(keepends=True))


def test_changes_that_touch_are_a_conflict() -> None:
    result = merge_text("a\nb\n", "A\nb\n", "a\nB\n")

    expected = TextConflict(base_line=1, ours_line=1, theirs_line=1, base="a\nb\n", ours="A\nb\n", theirs="a\nB\n")
    assert (expected,) == result.conflicts
    assert result.merged == "<<<<<<< ours\nA\nb\n=======\na\nB\n>>>>>>> theirs\n"


def test_the_base_is_shown_on_request() -> None:
    result = merge_text("a\n", "b\n", "c\n", diff3=True, labels=Labels("mine", "old", "yours"))

    assert result.merged == "<<<<<<< mine\nb\n||||||| old\na\n=======\nc\n>>>>>>> yours\n"


@pytest.mark.parametrize(("prefer", "expected"), [("ours", "X\nb\nC\n"), ("theirs", "Y\nb\nC\n")])
def test_a_preferred_side_stands_in_conflicts_only(prefer: str, expected: str) -> None:
    result = merge_text("a\nb\nc\n", "X\nb\nc\n", "Y\nb\nC\n", prefer=prefer)  # type: ignore[arg-type]

    assert expected == result.merged
    assert not result.clean
    assert len(result.conflicts) == 1


def test_a_missing_end_of_line_is_a_change_of_that_line() -> None:
    assert merge_text("a\nb\nc", "A\nb\nc", "a\nb\nc\n").merged == "A\nb\nc\n"
    assert not merge_text("a", "b", "a\n").clean


def test_carriage_returns_are_kept_and_markers_get_them_too() -> None:
    assert merge_text("a\r\nb\r\nc\r\n", "A\r\nb\r\nc\r\n", "a\r\nb\r\nC\r\n").merged == "A\r\nb\r\nC\r\n"
    assert merge_text("a\r\n", "b\r\n", "c\r\n").merged.startswith("<<<<<<< ours\r\nb\r\n=======\r\n")


def test_only_a_line_feed_ends_a_line() -> None:
    assert not merge_text("a\x0bb\x0cc\u2028d\n", "A\x0bb\x0cc\u2028d\n", "a\x0bb\x0cc\u2028D\n").clean


def test_the_time_for_texts_with_few_common_lines_grows_with_their_length() -> None:
    def seconds(lines: int) -> float:
        sides = ["".join(f"{side} {at if at % 20 else 0}\n" for at in range(lines)) for side in "bot"]
        started = time.process_time()
        merge_text(*sides)
        return time.process_time() - started

    short, long = (min(seconds(lines) for _ in range(5)) for lines in (1000, 8000))

    assert long < 8 * 4 * short
