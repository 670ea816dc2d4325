"""The house rules that a reader relies on, held by tests."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("metaqore", "api", "workers")
SOURCES = sorted(
    # A migration is a list of what was once done, as long as it has to be.
    p
    for package in PACKAGES
    for p in (ROOT / package).rglob("*.py")
    if "migrations" not in p.parts
)
BANNED = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}


def _ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=_ids)
def test_a_file_is_short_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert text.count("\n") <= 400
    assert ast.get_docstring(ast.parse(text)), "a module docstring"
    assert path.stem not in BANNED


@pytest.mark.parametrize("path", SOURCES, ids=_ids)
def test_no_function_is_longer_than_fifty_lines(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))

    long = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            doc = node.body[0] if ast.get_docstring(node) else None
            doc_lines = (doc.end_lineno or 0) - doc.lineno + 1 if doc is not None else 0
            length = (node.end_lineno or 0) - node.lineno + 1 - doc_lines
            if length > 50:
                long.append((node.name, length))
    assert long == []


def test_constraints_pin_exactly_and_name_no_host() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]

    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.+]+", pin) for pin in pins)
    assert "http" not in "".join(lines)


def test_every_dependency_is_pinned_in_the_constraints() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    names = {re.split(r"[<>=!;\[ ]", item)[0].lower().replace("_", "-") for item in wanted}
    pinned = {
        line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().splitlines()
    }

    assert set() == names - pinned


def test_ci_runs_the_test_command_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()

    assert [line for line in lines if "make" in line] == ["exec make test"]


def test_the_makefile_has_every_documented_target() -> None:
    makefile = (ROOT / "Makefile").read_text()

    for target in ("demo", "up", "test", "lint", "bench", "chaos", "clean"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_top_level_has_only_what_belongs_there() -> None:
    allowed = {
        "metaqore", "workers", "api", "tests", "config", "pyproject.toml", "README.md", "Procfile", "docs",
        "docker-compose.yml", "Makefile", "constraints.txt", "LICENSE", "CHANGELOG.md", "Dockerfile", "examples",
        "deploy",
    }  # fmt: skip

    visible = {p.name for p in ROOT.iterdir() if not p.name.startswith(".") and not p.name.endswith(".egg-info")}
    assert set() == visible - allowed - {"demo-report.html", "build", "dist"}


@pytest.mark.parametrize("path", sorted((ROOT / "config").rglob("*.yaml")), ids=_ids)
def test_every_policy_file_is_valid_yaml(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)
