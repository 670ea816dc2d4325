"""What the API's unit tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.in_process import InProcess


@pytest.fixture(scope="module")
def mq(data_folder: Path) -> Iterator[InProcess]:
    """The API in this process, with a database of the module's own."""
    made = InProcess(data_folder)
    yield made
    made.close()
