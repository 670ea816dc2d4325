"""npm ranges: the grammar by example and against node-semver, the solving by trying very many versions."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaqore.errors import InvalidInput
from metaqore.psmp.constraints import Solution, solve

NUMBERS = st.sampled_from(["0", "0", "1", "2", "10"])
OPEN = st.sampled_from(["x", "X", "*"])
PRE = st.sampled_from(["0", "alpha", "alpha.1", "beta", "rc.0", "a-b", "1a"])
RELEASES = st.builds("{}.{}.{}".format, NUMBERS, NUMBERS, NUMBERS)
VERSIONS = RELEASES | st.builds("{}-{}".format, RELEASES, PRE)
PARTIALS = st.one_of(
    VERSIONS,
    NUMBERS,
    OPEN,
    st.builds("{}.{}".format, NUMBERS, NUMBERS | OPEN),
    st.builds("{}.{}.{}".format, NUMBERS, NUMBERS, OPEN),
    st.builds("{}.{}.{}".format, NUMBERS, OPEN, OPEN | NUMBERS),
    st.builds("{}+build.1".format, VERSIONS),
    st.builds("v{}".format, VERSIONS),
    st.builds("={}".format, VERSIONS),
)
SIMPLE = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "^", "~", "~>", "<", "<=", ">", ">=", "="]),
    st.sampled_from(["", "", " "]),
    PARTIALS,
)
SETS = st.builds("{} - {}".format, PARTIALS, PARTIALS) | st.lists(SIMPLE, max_size=3).map(" ".join)
RANGES = st.lists(SETS, min_size=1, max_size=3).map("||".join)

#: Versions at, between and around all that RANGES can name.
EVERY = [
    ".".join(numbers) + pre
    for numbers in itertools.product(["0", "1", "2", "3", "10", "11"], repeat=3)
    for pre in ("", "-0", "-alpha", "-alpha.0", "-alpha.1", "-beta", "-rc.0", "-rc.1", "-a-b", "-1a")
]


def accepts(text: str, version: str) -> bool:
    """A bare version is the range that accepts nothing else."""
    return solve([text, version], ecosystem="npm").satisfiable


@pytest.mark.parametrize(
    ("text", "accepted", "refused"),
    [
        ("^1.2.3", "1.2.3 1.9.0", "1.2.2 2.0.0 2.0.0-alpha 1.3.0-alpha"),
        ("^0.2.3", "0.2.3 0.2.9", "0.3.0 1.0.0"),
        ("^0.0.3", "0.0.3", "0.0.4 0.1.0"),
        ("^0.0", "0.0.0 0.0.9", "0.1.0"),
        ("^1.2.3-beta.2", "1.2.3-beta.2 1.2.3-rc 1.2.3 1.9.0", "1.2.3-beta.1 1.2.4-beta.2"),
        ("~1.2.3", "1.2.3 1.2.9", "1.3.0"),
        ("~1.2", "1.2.0", "1.1.9 1.3.0"),
        ("~1", "1.0.0 1.9.9", "2.0.0 2.0.0-0"),
        ("~>1.2", "1.2.9", "1.3.0"),
        ("1.2.x", "1.2.0 1.2.9", "1.3.0 1.2.0-alpha"),
        ("1", "1.0.0 1.9.9", "2.0.0"),
        ("* ", "0.0.0 9.9.9", "1.0.0-alpha"),
        ("", "0.0.0 9.9.9", "1.0.0-alpha"),
        ("1.2.3 - 2.3.4", "1.2.3 2.3.4", "1.2.2 2.3.5"),
        ("1.2 - 2.3", "1.2.0 2.3.9", "2.4.0 2.4.0-0"),
        ("1.2.3 - 2", "2.9.9", "3.0.0"),
        ("1.2 - =2.0.0-beta.2", "1.2.0 2.0.0-beta.1", "2.0.0 2.0.0-rc.1"),
        (">1.2", "1.3.0", "1.2.9"),
        ("<=1.2", "1.2.9", "1.3.0"),
        ("<1.2", "1.1.9", "1.2.0 1.2.0-alpha"),
        (">= 1.2.3 < 2", "1.2.3", "2.0.0"),
        (">1.2.3-alpha.3", "1.2.3-alpha.7 3.4.5", "3.4.5-alpha.9 1.2.3-alpha.3"),
        ("<1.0.0 || >=2.0.0", "0.9.9 2.0.0", "1.5.0"),
        ("1.2.7 || >=1.2.9 <2.0.0", "1.2.7 1.2.9 1.4.6", "1.2.8 2.0.0"),
        ("v1.2.3+build", "1.2.3", "1.2.4"),
        ("<*", "", "0.0.0"),
        ("* || 1.2.3-beta", "1.0.0", "1.2.3-beta"),
        ("<1.0.0-rc.1", "1.0.0-rc.0 1.0.0-alpha.beta 1.0.0-2 0.9.0", "1.0.0-rc.1 1.0.0-rc.1.0 1.0.0"),
    ],
)
def test_a_range_accepts_what_npm_says(text: str, accepted: str, refused: str) -> None:
    assert [version for version in accepted.split() if not accepts(text, version)] == []
    assert [version for version in refused.split() if accepts(text, version)] == []


@pytest.mark.parametrize(
    "text",
    [
        "latest",
        "1.2.3.4",
        "01.2.3",
        "1.2.3-01",
        "1.*.3",
        ">=x.1",
        "==1.2.3",
        "1.2.3 -",
        "^",
        "a || 1",
        "-1",
        "1..2",
        "> = 1",
        "= = 1",
        "1.0.0 - =2.0.0",
    ],
)
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a version range: write one as in"):
        solve([text], ecosystem="npm")


def test_numbers_too_great_for_npm_are_refused() -> None:
    for text in ("9007199254740992.0.0", "^9007199254740991.0.0"):
        with pytest.raises(InvalidInput, match="too great"):
            solve([text], ecosystem="npm")
    assert solve([">=9007199254740991.0.0"], ecosystem="npm").satisfiable


@pytest.mark.parametrize(
    ("requirements", "witness", "core"),
    [
        (["^1.2.0", "<1.5"], "1.2.0", ()),
        (["^1.0.0", "^2.0.0"], None, (0, 1)),
        (["*", "^1.0.0 || ^3.0.0", ">=2", "<3"], None, (1, 2, 3)),
        ([">1.2.3 <1.2.4"], None, (0,)),
        ([">1.2.3-alpha <1.2.3", ">=1.2.3-beta"], "1.2.3-beta", ()),
        ([">1.2.3-alpha <1.2.3-alpha.1"], "1.2.3-alpha.0", ()),
        (["<1.2.3-alpha >=1.2.3-0"], "1.2.3-0", ()),
        (["1.2.3-alpha", ">=1"], None, (0, 1)),
    ],
)
def test_ranges_are_solved(requirements: list[str], witness: str | None, core: tuple[int, ...]) -> None:
    assert solve(requirements, ecosystem="npm") == Solution(witness is not None, witness, core)


@settings(max_examples=50)
@given(st.lists(RANGES, min_size=1, max_size=3))
def test_no_version_satisfies_what_is_called_unsatisfiable(ranges: list[str]) -> None:
    try:
        solution = solve(ranges, ecosystem="npm")
    except InvalidInput:
        return

    if solution.satisfiable:
        assert all(accepts(text, solution.witness or "") for text in ranges)
    else:
        few = [ranges[i] for i in solution.core]
        # One version at a time would be slow: all at once as alternatives, which let the same versions in.
        assert not any(solve([*few, "||".join(part)], ecosystem="npm").satisfiable for part in batches(EVERY))
        for i in range(len(few)):
            assert solve(few[:i] + few[i + 1 :], ecosystem="npm").satisfiable


def batches(versions: list[str], characters: int = 4000) -> list[list[str]]:
    size = characters // 20
    return [versions[at : at + size] for at in range(0, len(versions), size)]


def node_semver() -> Path:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("node-semver, which comes with npm, is not installed")
    folder = Path(npm).resolve().parents[1] / "node_modules" / "semver"
    if not folder.is_dir():
        pytest.skip(f"node-semver is not at {folder}")
    return folder


ASK = """
const semver = require(process.argv[1]);
const [texts, versions] = JSON.parse(require("fs").readFileSync(0));
console.log(JSON.stringify(texts.map((text) => {
  let range;
  try { range = new semver.Range(text) } catch (error) { return null }
  return versions.filter((version) => range.test(version));
})));
"""


@settings(max_examples=4)
@given(st.lists(RANGES, min_size=20, max_size=60), st.lists(VERSIONS, min_size=10, max_size=10, unique=True))
def test_node_semver_reads_every_range_alike(texts: list[str], versions: list[str]) -> None:
    folder = node_semver()
    asked = subprocess.run(
        ["node", "-e", ASK, str(folder)],
        input=json.dumps([texts, versions]),
        capture_output=True,
        text=True,
        check=True,
    )

    for text, expected in zip(texts, json.loads(asked.stdout), strict=True):
        try:
            found = [version for version in versions if accepts(text, version)]
        except InvalidInput:
            found = None
        assert (text, found) == (text, expected)
