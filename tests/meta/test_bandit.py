"""What bandit finds in what runs, each with the reason why it stays; anything else fails.

It takes 20 seconds of one core, so it runs in the long form (METAQORE_TEST_LONG=1). ``make lint`` applies the same
rules as ruff knows them (``S`` in pyproject.toml) every time. pip-audit asks a server for known vulnerabilities:
without a network there is nothing to ask, so it is run where there is one: ``pip-audit -r constraints.txt``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Rules that find too much here to tell anything, and why.
SKIPPED: Mapping[str, str] = {
    "B101": "assert tells the type checker what it cannot know; nothing from outside is checked by it",
    "B105": "names of tags and columns have 'token' and 'secret' in them; test_planted_secrets looks for real ones",
    "B106": "see B105",
    "B311": "random is for jitter and what must be repeatable; every secret comes from secrets",
    "B404": "that subprocess is imported says nothing: see B603",
    "B608": "statements are made of our own constants and placeholders; values are always bound",
}
#: (rule, file) → why it stays.
JUSTIFIED: Mapping[tuple[str, str], str] = {
    ("B506", "metaqore/strict_yaml.py"): "a SafeLoader that refuses double keys",
    ("B506", "metaqore/security/places.py"): "a SafeLoader that refuses double keys",
    ("B310", "metaqore/audit/observer.py"): "the engine's own address, as its operator gives it",
    ("B406", "metaqore/audit/picture.py"): "escapes for what is written; nothing is parsed",
    ("B603", "metaqore/cli/demo/history.py"): "the auditor's own command, as a list",
    ("B603", "metaqore/embedded/broker.py"): "the broker's binary, as a list",
    ("B603", "metaqore/embedded/child.py"): "our own processes, as a list",
    ("B603", "metaqore/embedded/identity.py"): "one fixed command, as a list",
    ("B606", "metaqore/embedded/exec_child.py"): "becomes the process that it was started for",
    ("B104", "metaqore/embedded/processes.py"): "turns such an address into one to connect to",
    ("B113", "metaqore/store/views/provenance.py"): "a mapping that is named requests",
}


@pytest.mark.skipif(not os.environ.get("METAQORE_TEST_LONG"), reason="the long form: set METAQORE_TEST_LONG=1")
def test_bandit_finds_nothing_that_is_not_justified() -> None:
    command = [sys.executable, "-m", "bandit", "-q", "-f", "json", "-s", ",".join(SKIPPED), "-r"]
    ran = subprocess.run(
        [*command, "metaqore", "api", "workers"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    said = json.loads(ran.stdout)

    assert not said["errors"]
    assert len(said["metrics"]) > 300
    found = {(each["test_id"], each["filename"].removeprefix("./")): each for each in said["results"]}
    assert {rule: found[rule]["issue_text"] for rule in found.keys() - JUSTIFIED.keys()} == {}
    assert JUSTIFIED.keys() - found.keys() == set(), "these are gone: take them out"


def test_every_justified_file_is_there() -> None:
    assert [name for _, name in JUSTIFIED if not (ROOT / name).is_file()] == []
