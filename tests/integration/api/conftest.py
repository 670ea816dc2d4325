from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from metaqore.cli.attack.told import Told
from tests.running import ROOT, Running, running


@pytest.fixture(scope="session")
def told() -> Iterator[Told]:
    """A model provider that says what it is told."""
    with Told() as provider:
        yield provider


@pytest.fixture(scope="session")
def mq(tmp_path_factory: pytest.TempPathFactory, told: Told) -> Iterator[Running]:
    """One MetaQore for all tests that break nothing: each makes its own project."""
    folder = tmp_path_factory.mktemp("mq")
    config = shutil.copytree(ROOT / "config", folder / "config", ignore=shutil.ignore_patterns("__pycache__"))
    told.join(config / "providers.yaml")
    with running(folder, webhook_allow_private=True, config_dir=str(config)) as made:
        yield made


@pytest.fixture
def project(mq: Running) -> str:
    """A strict project."""
    return mq.project()


@pytest.fixture(scope="session")
def stranger(mq: Running) -> str:
    """A key of another organization, with every scope."""
    return mq.make_key(["*"], principal="stranger", organization="elsewhere")
