"""Requirements of many artifacts together: which meet, what they say together, who contradicts whom."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from metaqore.errors import InvalidInput
from metaqore.psmp import manifest
from metaqore.psmp.constraints import Ecosystem, solve
from metaqore.psmp.model import Requirement
from tests.unit.psmp.test_constraints import DATA, SPECIFIERS

NPM = st.sampled_from(
    ["^1.2.0", "~1.2", ">=1 <3", "1.x || >=2.5.0", "*", "1.0.0 - 1.4", "2.0.0-rc.1", "<2", ">=2.0.0-0"]
)


@pytest.mark.parametrize(
    ("ecosystem", "name", "expected"),
    [
        ("pypi", "Flask_SQLAlchemy", "flask-sqlalchemy"),
        ("pypi", "zope.interface", "zope-interface"),
        ("pypi", "httpx[http2, brotli]", "httpx"),
        ("npm", "@types/node", "@types/node"),
        ("npm", "JSONStream", "JSONStream"),
    ],
)
def test_a_package_has_the_name_that_its_registry_compares(ecosystem: Ecosystem, name: str, expected: str) -> None:
    assert manifest.package_name(ecosystem, name) == expected


@pytest.mark.parametrize(
    ("requirement", "where"),
    [
        (Requirement("not a name"), "requires[0].name"),
        (Requirement("-x"), "requires[0].name"),
        (Requirement("requests", ">>2"), "requires[0].specifier"),
        (Requirement("left-pad", "latest", "npm"), "requires[0].specifier"),
        (Requirement("@a/b/c", "1", "npm"), "requires[0].name"),
    ],
)
def test_a_requirement_that_nobody_can_read_is_refused(requirement: Requirement, where: str) -> None:
    with pytest.raises(InvalidInput, match=where.replace("[", r"\[").replace("]", r"\]")):
        manifest.check_requirements([requirement])


def test_runtime_and_dev_meet_and_build_stays_apart() -> None:
    asked = [Requirement("a", scope="runtime"), Requirement("A", scope="dev"), Requirement("a", scope="build")]
    runtime, dev, build = manifest.slots("p", asked)
    assert runtime == dev != build


def test_two_that_contradict_each_other_are_named_and_so_is_what_the_others_want() -> None:
    judged = manifest.judge("pypi", [">=2.0"], ["<2.0", ">=1.0", "!=1.5"])

    assert not judged.fits
    assert sorted(judged.core) == ["<2.0", ">=2.0"]
    assert judged.witness is not None
    assert SpecifierSet("<2.0,>=1.0,!=1.5").contains(judged.witness)


def test_what_fits_comes_with_a_witness() -> None:
    judged = manifest.judge("npm", ["^1.2.0"], ["~1.4.0 || 3.x", "<1.4.7"])
    assert judged.fits
    assert judged.witness == "1.4.0"


def test_a_pin_to_a_prerelease_can_be_met() -> None:
    assert manifest.judge("pypi", ["==2.0rc1"], []).witness == "2.0rc1"
    assert manifest.judge("pypi", ["==2.0rc1"], [">=1", "<2.0"]).core == ("==2.0rc1", "<2.0")
    assert not manifest.judge("pypi", [">2.0,<2.0.1,!=2.0.*"], []).fits


def test_old_contradictions_among_others_are_not_held_against_who_adds_none() -> None:
    others = ["==1.0", "==2.0"]
    assert manifest.judge("pypi", [">=0.5"], others).fits
    judged = manifest.judge("pypi", [">=1.5"], others)
    assert not judged.fits
    assert set(judged.core) == {">=1.5", "==1.0"}


@settings(max_examples=30)
@given(st.lists(SPECIFIERS, min_size=1, max_size=3), st.lists(SPECIFIERS, max_size=4))
def test_a_verdict_is_proven(own: list[str], others: list[str]) -> None:
    judged = manifest.judge("pypi", own, others)

    if not judged.fits:
        assert set(judged.core) & set(own)
        assert not manifest.solved("pypi", judged.core).satisfiable
        for left_out in range(len(judged.core)):
            rest = tuple(text for at, text in enumerate(judged.core) if at != left_out)
            assert manifest.solved("pypi", rest).satisfiable
    elif judged.witness is not None:
        assert SpecifierSet(",".join((*own, *others))).contains(judged.witness, prereleases=True)


@settings(max_examples=30)
@given(st.lists(SPECIFIERS, min_size=1, max_size=3), SPECIFIERS)
def test_a_joint_constraint_says_what_all_say(specifiers: list[str], probe: str) -> None:
    together = manifest.joint("pypi", specifiers)
    expected = solve([*specifiers, probe], ecosystem="pypi", prereleases=True).satisfiable
    assert solve([together, probe], ecosystem="pypi", prereleases=True).satisfiable == expected


@settings(max_examples=30)
@given(st.lists(NPM, min_size=1, max_size=3), NPM)
def test_a_joint_range_of_npm_says_what_all_say(specifiers: list[str], probe: str) -> None:
    together = manifest.joint("npm", specifiers)
    expected = solve([*specifiers, probe], ecosystem="npm").satisfiable
    if " and " not in together and expected != solve([together, probe], ecosystem="npm").satisfiable:
        # A range lets a pre-release in by naming it; joined, one range's naming counts for all.
        assert "-" in together


def test_the_verdicts_on_the_recorded_groups_are_those_of_the_solver() -> None:
    path = Path(DATA) / "specifiers.jsonl"
    if not path.exists():
        pytest.skip("the recorded specifiers are not there")
    groups = [row for row in map(json.loads, path.read_text().splitlines()) if row["kind"] == "group"]
    assert len(groups) == 200
    for group in groups:
        *others, own = [each["specifier"] for each in group["requirements"]]
        alone = manifest.solved("pypi", tuple(sorted(set(others)))).satisfiable
        judged = manifest.judge("pypi", [own], others)
        if group["satisfiable"]:
            assert judged.fits
            assert judged.witness is not None
        elif alone:
            assert not judged.fits


@pytest.mark.parametrize(
    ("ecosystem", "own", "others", "expected"),
    [
        ("pypi", "<2", [">=2"], ">=2"),
        ("pypi", "<2,!=2.3,>=1.5", [">=2"], "!=2.3,>=1.5,>=2"),
        ("pypi", "==1.0", [">=2", "<3"], "<3,>=2"),
        ("pypi", "==1.0", [">=2", "<2"], None),
        ("pypi", ",".join(f"!=1.{n}" for n in range(20)), [">=2"], None),
        ("pypi", "<2", [f">={n}" for n in range(1, 80)], "==79"),
        ("npm", "~1.4", ["^2.0.0"], ">=2.0.0 <3.0.0-0 >=1.4.0"),
        ("npm", "0.x || 1.x", [">=2.0.0", "<4.0.0"], ">=2.0.0 <4.0.0"),
    ],
)
def test_a_specifier_is_narrowed_to_what_others_accept(
    ecosystem: Ecosystem, own: str, others: list[str], expected: str | None
) -> None:
    found = manifest.narrowed(ecosystem, own, others)
    if expected is None or found is None:
        assert found == expected
    elif ecosystem == "pypi":
        assert SpecifierSet(found) == SpecifierSet(expected)
    else:
        assert sorted(found.split()) == sorted(expected.split())


@given(st.data())
@settings(max_examples=60)
def test_what_is_narrowed_contradicts_nobody_and_accepts_no_more_than_they_do(data: st.DataObject) -> None:
    ecosystem: Ecosystem = data.draw(st.sampled_from(["pypi", "npm"]))
    texts = SPECIFIERS if ecosystem == "pypi" else NPM
    own, others = data.draw(texts), data.draw(st.lists(texts, min_size=1, max_size=3))
    found = manifest.narrowed(ecosystem, own, others)
    if not manifest.solved(ecosystem, tuple(sorted(set(others)))).satisfiable:
        assert found is None
    elif found is not None:
        assert manifest.solved(ecosystem, (found, *others)).satisfiable
        probe = solve([found], ecosystem=ecosystem, prereleases=True).witness
        exact = f"=={probe}" if ecosystem == "pypi" else str(probe)
        if "===" not in found:
            assert solve([exact, *others], ecosystem=ecosystem, prereleases=True).satisfiable


def test_what_takes_longer_than_a_page_may_is_undecided() -> None:
    budget = manifest.Budget(bounds=5)
    few = manifest.summary("pypi", [">=1,<9", "!=3"], budget)
    assert (few["undecided"], few["satisfiable"], few["witness"]) == (False, True, "1")
    more = manifest.summary("npm", [">=1.0.0 <2.0.0", "1.x || 3.x"], budget)
    assert more == {"constraint": None, "satisfiable": None, "undecided": True, "witness": None, "core": []}
    # What was too much took nothing from the budget.
    assert manifest.summary("pypi", ["<1", ">=2"], budget)["core"] == ["<1", ">=2"]
    many = [f"!={n}" for n in range(manifest.MAX_SPECIFIERS + 1)]
    assert manifest.summary("pypi", many, manifest.Budget(10**6))["undecided"]
