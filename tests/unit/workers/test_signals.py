from __future__ import annotations

from pathlib import Path

import pytest

from metaqore.settings import load
from metaqore.store import migrate
from workers import signals


def test_a_worker_does_not_start_on_a_schema_that_is_not_its_release_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METAQORE_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("METAQORE_STORAGE_DSN", raising=False)

    with pytest.raises(SystemExit):
        signals._check_schema()

    migrate.upgrade(load().dsn)
    signals._check_schema()


def test_a_worker_starts_while_its_database_is_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("METAQORE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("METAQORE_STORAGE_DSN", "postgresql://nobody@127.0.0.1:1/nothing")

    signals._check_schema()
