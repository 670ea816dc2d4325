"""Faults in the authorization layer are noticed. The short form: a handful, by the simplest check each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from api import bounds
from api.stops import StopList, Stopped
from metaqore.errors import Forbidden
from metaqore.security.keys import ALL, Principal
from metaqore.security.ports import Stop
from metaqore.security.stops import whose
from tests.authz_mutants import GUARDS, VIEWS, Matrix, Mutant, faulty, mutants, run

ALL_MUTANTS = list(mutants())


def who(*scopes: str, name: str = "bob", project: str | None = None) -> Principal:
    return Principal(organization="o", name=name, key_id="k", scopes=frozenset(scopes), project=project)


def may() -> None:
    assert [who(ALL).may("a"), who("a").may("a"), who("b").may("a")] == [True, True, False]


def submission() -> None:
    for asked, inside, refused in (("p", False, False), ("q", False, True), (None, False, True), (None, True, False)):
        if refused:
            with pytest.raises(Forbidden):
                bounds.check_submission({bounds.INSIDE: inside}, asked, who(project="p"))
        else:
            bounds.check_submission({bounds.INSIDE: inside}, asked, who(project="p"))


def stopped() -> None:
    listed = [Stop("o", "principal", "bob", "r", "a", 0), Stop("o", "project", "p", "r", "a", 0)]
    stops = StopList(lambda: listed, lambda: 0.0)
    for name, project, refused in (
        ("bob", None, True),
        ("bob/x", None, True),
        ("ann", None, False),
        ("ann", "p", True),
    ):
        if refused:
            with pytest.raises(Stopped):
                stops.check(who(name=name), project)
        else:
            stops.check(who(name=name), project)


def acting() -> None:
    assert (whose("bob/x"), whose("bob")) == (("bob/x", "bob"), ("bob",))


SHORT: dict[str, Callable[[], None]] = {
    "Principal.may": may, "check_submission": submission, "StopList.check": stopped, "whose": acting,
}  # fmt: skip


def test_every_guard_and_view_has_mutants() -> None:
    names = Counter(mutant.function.__qualname__.partition(".")[0] for mutant in ALL_MUTANTS)

    assert len(ALL_MUTANTS) >= 200
    # Numbers over all organizations; statements of the walk stand in the module, each behind the first.
    assert {view.__name__ for view in VIEWS} - {"HealthViews", "ProvenanceViews"} <= names.keys()
    assert {"register", "check_path", "KeyRing", "SecureGate", "StopList"} <= names.keys()
    assert len(GUARDS) >= 13


@pytest.mark.parametrize("name", SHORT)
def test_a_handful_of_mutants_is_noticed_and_put_back(name: str) -> None:
    check = SHORT[name]
    chosen: list[Mutant] = [mutant for mutant in ALL_MUTANTS if mutant.function.__qualname__ == name]
    check()
    for mutant in chosen:
        whole = mutant.function.__code__
        with faulty(mutant), pytest.raises((AssertionError, pytest.fail.Exception, Exception)):
            check()
        assert mutant.function.__code__ is whole
    check()
    assert chosen or name == "whose"


@pytest.mark.skipif(not os.environ.get("METAQORE_TEST_LONG"), reason="the long form: set METAQORE_TEST_LONG=1")
def test_the_isolation_matrix_notices_every_mutant(tmp_path: Path) -> None:
    matrix = Matrix(tmp_path, {mutant.function for mutant in ALL_MUTANTS})

    assert run(ALL_MUTANTS, matrix) == []
