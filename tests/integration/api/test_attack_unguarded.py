"""The same attacks on an engine whose guards are taken away: a harness that cannot fail would prove nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from metaqore.attack.generate import case
from metaqore.attack.suite_file import load_suite
from metaqore.cli.attack.drive import Drive
from metaqore.cli.attack.own import all_powerful, take_guards_away
from metaqore.cli.attack.people import Api
from metaqore.cli.attack.proof import Shown, shown
from metaqore.cli.attack.told import NAME, Told
from tests.running import ROOT, running

LONG = bool(os.environ.get("METAQORE_TEST_LONG"))
#: A hundred calls.
LEFT_OUT = set() if LONG else {"endless-conversation"}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Shown]]:
    folder = tmp_path_factory.mktemp("unguarded")
    config = shutil.copytree(ROOT / "config", folder / "config", ignore=shutil.ignore_patterns("__pycache__"))
    with Told() as told:
        told.join(config / "providers.yaml")
        take_guards_away(config, told.port)
        suite = load_suite()
        with running(folder, config_dir=str(config)) as mq:
            people = all_powerful(Api(mq.url), mq.key, told, lambda name: mq.make_key(["*"], principal=name))
            work = [(each, case(suite, each, 0, 7)) for each in suite.scenarios if each.id not in LEFT_OUT]
            given = {"provider": "mock", "cloud": "openrouter", "told": NAME}
            yield shown(Drive(people, 8, given, unguarded=True).run(work))


def test_every_attack_goes_through_where_its_guard_is_taken_away(found: list[Shown]) -> None:
    assert [(each.scenario, each.whys) for each in found if not each.ok] == []
    assert sum(each.missed for each in found) >= 0.75 * len(found)


def test_what_is_said_to_be_built_in_needs_no_setting(found: list[Shown]) -> None:
    assert [each.scenario for each in found if each.built_in and each.missed] == []


def test_every_family_has_an_attack_that_goes_through_without_guards(found: list[Shown]) -> None:
    suite = load_suite()
    missed = {each.scenario for each in found if each.missed}
    shown_for = {name for each in suite.scenarios if each.id in missed for name in suite.families_of(each)}
    assert set(suite.families) - shown_for == set()
