"""The attacks of tests/unit/audit on a log in PostgreSQL; ``AUDIT_POSITIONS`` sets how many random positions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.audit_attacks import ATTACKS, ENTRIES, EVERY, REFUSED_BY_POSTGRES, check_on_a_database
from tests.audit_log import PostgresLog

POSITIONS = int(os.environ.get("AUDIT_POSITIONS", "0"))
pytestmark = [pytest.mark.postgres] + ([pytest.mark.timeout(0)] if POSITIONS > 20 else [])


@pytest.fixture(scope="module")
def clean(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresLog]:
    log = PostgresLog(postgres.make(), tmp_path_factory.mktemp("clean"))
    log.fill(ENTRIES, every=EVERY)
    yield log
    log.connection.close()


@pytest.mark.parametrize(
    "attack",
    [attack for attack in ATTACKS if attack.__name__ not in REFUSED_BY_POSTGRES],
    ids=lambda attack: attack.__name__,
)
def test_an_attack_is_named_with_its_first_entry(
    attack: Callable[[Any], Any], clean: PostgresLog, tmp_path: Path
) -> None:
    check_on_a_database(attack, clean, tmp_path, POSITIONS)
