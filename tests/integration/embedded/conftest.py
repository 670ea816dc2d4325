from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from metaqore.embedded.broker import Broker

WaitUntil = Callable[..., Any]


@pytest.fixture
def wait_until() -> WaitUntil:
    """Return the first true answer of a check; fail where there is none within the deadline."""

    def wait(check: Callable[[], Any], seconds: float = 60.0, what: str = "") -> Any:
        deadline = time.monotonic() + seconds
        while not (answer := check()):
            assert time.monotonic() < deadline, f"not within {seconds} s: {what or check}"
            time.sleep(0.02)
        return answer

    return wait


@pytest.fixture
def broker(tmp_path: Path, wait_until: WaitUntil) -> Iterator[Broker]:
    """A broker that is not started yet, and is ended in any case."""
    made = Broker(tmp_path / "broker", tmp_path / "logs" / "broker.log")
    yield made
    made.kill()
    wait_until(made.ended)
