from __future__ import annotations

from collections.abc import Iterator

import pytest

from metaqore.store.engine import Database
from tests.contract.pipeline import Pipeline


@pytest.fixture
def pipeline(database: Database) -> Iterator[Pipeline]:
    """Both doors over a new database; whatever a test did, the numbers must have stayed gapless."""
    made = Pipeline(database)
    yield made
    assert not made.long.errors
    made.check_sequences()
    made.check_versions()
    made.check_recorded()
    made.check_ranks()
