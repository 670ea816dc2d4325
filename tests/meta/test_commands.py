"""Every subcommand that ``metaqore --help`` lists is there and explains itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from metaqore.cli.main import COMMANDS, main

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_subcommand_loads_and_has_help(name: str) -> None:
    answer = CliRunner().invoke(main, [name, "--help"])

    assert answer.exit_code == 0, answer.output
    assert f"{name} [OPTIONS]" in answer.output


def test_the_readme_names_only_commands_that_exist() -> None:
    for document in ("README.md", "CHANGELOG.md", "metaqore/README.md"):
        named = re.findall(r"`metaqore ([a-z]+)", (ROOT / document).read_text(encoding="utf-8"))
        assert set(named) <= set(COMMANDS), document
