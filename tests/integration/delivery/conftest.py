from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from metaqore.store.engine import Database
from tests.integration.delivery.receivers import Behaviour, Receiver

Start = Callable[..., Receiver]


@pytest.fixture
def sqlite(sqlite_dsn: str) -> Iterator[Database]:
    """A new SQLite database."""
    made = Database(sqlite_dsn)
    yield made
    made.close()


@pytest.fixture
def receiver() -> Iterator[Start]:
    """Starts receivers that end with the test."""
    with ExitStack() as running:

        def start(behaviour: Behaviour, **options: object) -> Receiver:
            return running.enter_context(Receiver(behaviour, **options).running())  # type: ignore[arg-type]

        yield start
