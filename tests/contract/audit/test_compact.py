"""What lies in the files of a database after content was deleted, and after somebody had them rewritten."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from metaqore.audit.database import sqlite3
from metaqore.cli.main import main
from metaqore.store.engine import Database

PLANTED = "planted-4711-canary"


def holding(paths: list[Path]) -> list[Path]:
    return [path for path in paths if PLANTED.encode() in path.read_bytes()]


def test_an_old_copy_within_a_page_goes_when_somebody_has_the_file_rewritten(
    sqlite_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(sqlite_dsn.removeprefix("sqlite:///"))
    files = [path, path.with_name(path.name + "-wal")]
    # Rows that stay share their pages with rows that went without being overwritten.
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as stranger:
        stranger.execute("PRAGMA secure_delete = OFF").fetchall()
        stranger.execute("CREATE TABLE was (id INTEGER PRIMARY KEY, text TEXT)")
        texts = [(n, "innocent" if n % 2 else f"{PLANTED} {n}") for n in range(2000)]
        stranger.executemany("INSERT INTO was VALUES (?, ?)", texts)
        stranger.execute("DELETE FROM was WHERE id % 2 = 0")
    database = Database(sqlite_dsn)
    assert database.compact(rewrite=False)
    database.close()
    assert holding([file for file in files if file.exists()]) == [path]
    monkeypatch.setenv("METAQORE_STORAGE_DSN", sqlite_dsn)
    monkeypatch.setenv("METAQORE_DATA_DIR", str(tmp_path / "data"))

    done = CliRunner().invoke(main, ["db", "compact", "--yes"])

    assert (done.exit_code, "hold nothing of what was deleted" in done.output) == (0, True), done.output
    assert holding([file for file in files if file.exists()]) == []
    with contextlib.closing(sqlite3.connect(path)) as after:
        assert after.execute("SELECT count(*) FROM was").fetchone() == (1000,)


@pytest.mark.postgres
def test_postgres_keeps_no_deleted_row_in_its_tables_and_says_what_its_own_log_keeps(
    postgres: Any, postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(postgres_dsn)
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE was (id bigint, text text)")
        connection.exec_driver_sql(f"INSERT INTO was SELECT n, '{PLANTED} ' || n FROM generate_series(1, 2000) AS n")
        connection.exec_driver_sql("DELETE FROM was WHERE id % 2 = 0")
        number = connection.exec_driver_sql("SELECT oid FROM pg_database WHERE datname = current_database()").scalar()
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE was SET text = 'innocent' || id")
    folder = Path(postgres.setting("data_directory")) / "base" / str(number)
    database.close()
    monkeypatch.setenv("METAQORE_STORAGE_DSN", postgres_dsn)
    monkeypatch.setenv("METAQORE_DATA_DIR", str(tmp_path / "data"))

    done = CliRunner().invoke(main, ["db", "compact", "--yes"])

    assert (done.exit_code, "write-ahead log may" in done.output) == (0, True), done.output
    assert holding([file for file in folder.iterdir() if file.is_file()]) == []
    database = Database(postgres_dsn)
    with database.write() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM was WHERE text LIKE 'innocent%%'").scalar() == 1000
        connection.exec_driver_sql("DROP TABLE was")
    database.close()


def test_nothing_is_rewritten_where_there_is_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METAQORE_STORAGE_DSN", f"sqlite:///{tmp_path / 'empty.db'}")
    monkeypatch.setenv("METAQORE_DATA_DIR", str(tmp_path / "data"))
    done = CliRunner().invoke(main, ["db", "compact", "--yes"])
    assert (done.exit_code, "no database of MetaQore" in done.output) == (1, True), done.output
