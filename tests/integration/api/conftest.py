from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.running import Running, running


@pytest.fixture(scope="session")
def mq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One MetaQore for all tests that break nothing: each makes its own project."""
    with running(tmp_path_factory.mktemp("mq"), webhook_allow_private=True) as made:
        yield made


@pytest.fixture
def project(mq: Running) -> str:
    """A strict project."""
    return mq.project()


@pytest.fixture(scope="session")
def stranger(mq: Running) -> str:
    """A key of another organization, with every scope."""
    return mq.make_key(["*"], principal="stranger", organization="elsewhere")
