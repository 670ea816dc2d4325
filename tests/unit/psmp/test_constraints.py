"""Solving version constraints: the answers are proven, by example and by trying very many versions."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from metaqore.errors import InvalidInput
from metaqore.psmp.constraints import Ecosystem, Solution, solve

DATA = Path(os.environ.get("METAQORE_TEST_DATA") or Path(__file__).resolve().parents[4] / "shared" / "data")

# Few versions, so that the clauses often meet.
RELEASES = st.sampled_from(["0", "1", "1.0", "1.0", "1.0.1", "1.1", "2"])
SUFFIXES = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "", "", "a1", "rc1", "rc2"]),
    st.sampled_from(["", "", "", ".post0", ".post1", ".post2"]),
    st.sampled_from(["", "", "", ".dev0", ".dev1"]),
)
CLAUSES = st.one_of(
    st.builds("{}{}{}".format, st.sampled_from([">=", "<=", ">", "<", "==", "!="]), RELEASES, SUFFIXES),
    st.builds("{}{}.*".format, st.sampled_from(["==", "!="]), RELEASES),
    st.builds("~=1.{}{}".format, RELEASES, SUFFIXES),
    st.builds("{}1!{}".format, st.sampled_from([">=", "<", "!="]), RELEASES),
    st.builds("{}{}+{}".format, st.sampled_from(["==", "!="]), RELEASES, st.sampled_from(["local", "1"])),
    st.builds("==={}".format, st.sampled_from(["1.0", "anything"])),
)
SPECIFIERS = st.lists(CLAUSES, min_size=1, max_size=3).map(",".join)

#: Finals at, between and around all that CLAUSES can name.
FINALS = [
    Version(epoch + ".".join(release) + suffix)
    for epoch in ("", "1!")
    for length in (1, 2, 3)
    for release in itertools.product("0123", repeat=length)
    for suffix in ("", ".post0", ".post1", ".post2", ".post3", ".0.0.1", "+local", "+1")
]


def without(requirements: list[str], position: int) -> list[str]:
    return requirements[:position] + requirements[position + 1 :]


def prove_minimal(
    requirements: list[str], core: tuple[int, ...], ecosystem: Ecosystem, prereleases: bool = False
) -> None:
    few = [requirements[i] for i in core]
    assert not solve(few, ecosystem=ecosystem, prereleases=prereleases).satisfiable
    for i in range(len(few)):
        assert solve(without(few, i), ecosystem=ecosystem, prereleases=prereleases).satisfiable


@settings(max_examples=80)
@given(st.lists(SPECIFIERS, min_size=1, max_size=4))
def test_no_final_version_satisfies_what_is_called_unsatisfiable(requirements: list[str]) -> None:
    solution = solve(requirements, ecosystem="pypi")

    everything = SpecifierSet(",".join(requirements))
    if solution.satisfiable:
        assert everything.contains(solution.witness or "", prereleases=True)
        assert solution.witness == "anything" or not Version(solution.witness or "").is_prerelease
        assert solution.core == ()
    else:
        assert not any(everything.contains(version) for version in FINALS)
        assert solution.witness is None
        prove_minimal(requirements, solution.core, "pypi")


@settings(max_examples=150)
@given(st.lists(SPECIFIERS, min_size=1, max_size=4), st.booleans())
def test_packaging_agrees_on_what_is_satisfiable(requirements: list[str], prereleases: bool) -> None:
    solution = solve(requirements, ecosystem="pypi", prereleases=prereleases)

    everything = SpecifierSet(",".join(requirements), prereleases=prereleases)
    assert solution.satisfiable == (not everything.is_unsatisfiable())
    if not solution.satisfiable:
        prove_minimal(requirements, solution.core, "pypi", prereleases)


@pytest.mark.parametrize(
    ("requirements", "expected"),
    [
        ([">=2.0", "<2.0"], Solution(False, core=(0, 1))),
        ([">=1", ">=2.0", "!=2.*", "<3"], Solution(False, core=(1, 2, 3))),
        ([">=1", "==3,==4"], Solution(False, core=(1,))),
        ([">=2.0", "<3,!=2.0"], Solution(True, witness="2.1")),
        ([">1.0", "<1.0.1"], Solution(True, witness="1.0.0.0.1")),
        ([">1.0", "<1.0.post5"], Solution(False, core=(0, 1))),
        ([">=2.0a1", "<2.0"], Solution(False, core=(0, 1))),
        ([">1.0.post1", "<1.0.post3"], Solution(True, witness="1.0.post2")),
        (["==2.0rc1"], Solution(False, core=(0,))),
        (["(>=1.2)", ""], Solution(True, witness="1.2")),
        (["==1.0", "==1.0+cu118"], Solution(True, witness="1.0+cu118")),
        (["==1+local", "==1.0+1"], Solution(False, core=(0, 1))),
        (["===not-a-version"], Solution(True, witness="not-a-version")),
        ([], Solution(True, witness="0")),
    ],
)
def test_specifiers_of_python_packages_are_solved(requirements: list[str], expected: Solution) -> None:
    assert solve(requirements, ecosystem="pypi") == expected


@pytest.mark.parametrize(
    ("requirements", "witness"),
    [
        (["==2.0rc1", ">1"], "2.0rc1"),
        ([">=2.0rc1"], "2.0"),
        ([">1.0rc1", "<1.0rc5.dev0"], "1.0rc2.dev0"),
        ([">1.0.dev1", "<1.0.dev3"], "1.0.dev2"),
        ([">1.0", "<1.0.0.dev1"], None),
    ],
)
def test_prereleases_count_on_request_and_come_last(requirements: list[str], witness: str | None) -> None:
    assert solve(requirements, ecosystem="pypi", prereleases=True).witness == witness


@pytest.mark.parametrize("ecosystem", ["pypi", "npm"])
def test_a_bad_specifier_is_refused_with_its_declarer(ecosystem: Ecosystem) -> None:
    for bad in ("latest", ">= two", "1.2.3.4.5-", "9" * 5000):
        with pytest.raises(InvalidInput, match="requirement 1 of agent b: ") as caught:
            solve([("agent a", ">=1"), ("agent b", bad)], ecosystem=ecosystem)
        assert caught.value.details == {"position": 1}


def test_an_unknown_ecosystem_is_refused() -> None:
    with pytest.raises(InvalidInput, match="use pypi or npm"):
        solve([">=1"], ecosystem="cargo")  # type: ignore[arg-type]


def test_equal_requirements_are_counted_once_in_the_core() -> None:
    assert solve([">=2", ">=2", "<1", "<1"], ecosystem="pypi").core == (0, 2)


def test_hundreds_of_requirements_are_solved_as_intervals() -> None:
    requirements = [f">={i},!={i}.*,<1000" for i in range(300)]

    assert solve(requirements, ecosystem="pypi").witness == "300"
    assert solve([*requirements, "<5"], ecosystem="pypi").core == (4, 300)


def groups() -> list[dict[str, Any]]:
    path = DATA / "specifiers.jsonl"
    if not path.exists():
        pytest.skip(f"the test data is not here: set METAQORE_TEST_DATA to the folder of {path.name}")
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [row for row in rows if row["kind"] == "group"]


def test_what_real_packages_declare_is_solved_as_labelled() -> None:
    wrong = []
    for row in groups():
        texts = [each["specifier"] for each in row["requirements"]]
        solution = solve([(each["declared_by"], each["specifier"]) for each in row["requirements"]], ecosystem="pypi")
        if solution.satisfiable != row["satisfiable"]:
            wrong.append(row["id"])
        elif solution.satisfiable:
            assert all(SpecifierSet(text).contains(solution.witness or "") for text in texts)
        else:
            assert len(solution.core) == len(row["minimal_conflict"])
            prove_minimal(texts, solution.core, "pypi")

    assert wrong == []
