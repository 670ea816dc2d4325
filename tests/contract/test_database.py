"""The two doors to the database: what goes wrong there is said in our own words, and leaves nothing behind."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from metaqore.errors import Contention, MetaQoreError, SettingsError, Unavailable
from metaqore.store import migrate
from metaqore.store.drivers import LOG_PAGES
from metaqore.store.engine import Database
from tests.conftest import Postgres
from tests.contract.pipeline import together

FIRE = "INSERT INTO schedule_fires (schedule, fire_at, fired_at) VALUES (?, ?, ?)"


def fire(database: Database, name: str, at: int = 1) -> None:
    with database.write() as connection:
        connection.exec_driver_sql(database.sql(FIRE), (name, at, at))


def names(database: Database) -> list[str]:
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT schedule FROM schedule_fires ORDER BY schedule").fetchall()
    return [row[0] for row in rows]


def test_a_write_is_seen_by_the_next_reader(database: Database) -> None:
    fire(database, "a")
    assert names(database) == ["a"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Contention])
def test_whatever_is_raised_inside_a_write_rolls_it_back(database: Database, error: type[BaseException]) -> None:
    with pytest.raises(error), database.write() as connection:
        connection.exec_driver_sql(database.sql(FIRE), ("a", 1, 1))
        raise error
    assert names(database) == []
    fire(database, "b")
    assert names(database) == ["b"]


def test_a_row_that_exists_is_contention_and_rolls_back_its_neighbours(database: Database) -> None:
    fire(database, "a")
    with pytest.raises(Contention), database.write() as connection:
        connection.exec_driver_sql(database.sql(FIRE), ("b", 1, 1))
        connection.exec_driver_sql(database.sql(FIRE), ("a", 1, 1))
    assert names(database) == ["a"]


def test_a_statement_that_is_wrong_is_raised_as_it_is(database: Database) -> None:
    with pytest.raises(Exception, match="no_such_table") as caught, database.write() as connection:
        connection.exec_driver_sql("DELETE FROM no_such_table WHERE 1 = 1")
    if not database.is_sqlite:
        assert not isinstance(caught.value, MetaQoreError)
    fire(database, "a")
    assert names(database) == ["a"]


def test_many_writers_wait_for_each_other_and_none_is_lost(database: Database) -> None:
    other = Database(database.dsn)
    both = [database, other]
    jobs = [lambda n=n: [fire(both[n % 2], f"{n:02}", at) for at in range(5)] for n in range(16)]
    assert not [answer for answer in together(jobs) if isinstance(answer, BaseException)]  # type: ignore[arg-type]
    assert len(names(database)) == 80
    other.close()


def test_where_all_connections_are_in_use_the_answer_is_unavailable(database: Database) -> None:
    pool: Any = database._reader.pool
    # As if it were of size 1.
    pool._overflow, pool._max_overflow, pool._timeout = -1, 0, 0.05
    with database.read(), pytest.raises(Unavailable), database.read():
        pass
    assert names(database) == []


def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    gone = [f"sqlite:///{tmp_path}", "postgresql+psycopg://postgres@127.0.0.1:1/none"]
    for dsn in gone:
        database = Database(dsn)
        for door in (database.read, database.write):
            with pytest.raises(Unavailable), door() as connection:
                connection.exec_driver_sql("SELECT 1 FROM requests")
        database.close()


@pytest.mark.parametrize("dsn", ["sqlite://", "sqlite:///:memory:", "mysql://x/y", "nonsense", ""])
def test_a_url_that_cannot_be_used_is_refused(dsn: str) -> None:
    with pytest.raises(SettingsError):
        Database(dsn)


def test_a_full_disk_is_unavailable_and_leaves_the_database_whole(sqlite_dsn: str) -> None:
    database = Database(sqlite_dsn)
    fire(database, "a")
    with pytest.raises(Unavailable), database.write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        for n in range(200):
            connection.exec_driver_sql(FIRE, (f"{n}" + "x" * 1000, 1, 1))
    assert names(database) == ["a"]
    fire(database, "b")
    assert names(database) == ["a", "b"]
    database.close()


@pytest.mark.postgres
def test_the_log_of_a_database_that_is_written_to_without_a_pause_stays_small(sqlite_dsn: str) -> None:
    database = Database(sqlite_dsn)
    log = Path(f"{make_url(sqlite_dsn).database}-wal")
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE pages (id INTEGER PRIMARY KEY, content BLOB)")
        page = connection.exec_driver_sql("PRAGMA page_size").scalar()
    part = LOG_PAGES // 4
    sizes = []
    for first in range(0, 12 * part, part):
        with database.write() as connection:
            connection.exec_driver_sql("INSERT INTO pages VALUES (?, zeroblob(?))", (first, part * page))
        sizes.append(log.stat().st_size / page)
    database.close()

    # The log is emptied by the commit that fills it, the next one begins at its start again.
    assert LOG_PAGES * 0.7 < max(sizes) < LOG_PAGES * 1.5


def test_commits_are_durable_though_the_server_would_not_wait(postgres: Postgres, postgres_dsn: str) -> None:
    assert postgres.setting("synchronous_commit") == "off"
    database = Database(postgres_dsn)
    with database.write() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    database.close()


@pytest.mark.postgres
def test_after_a_restart_of_the_server_one_caller_hears_of_it(postgres: Postgres, postgres_dsn: str) -> None:
    database = Database(postgres_dsn)
    inside = threading.Barrier(6)

    def use() -> None:
        with database.write() as connection, database.read() as reader:
            connection.exec_driver_sql("SELECT 1")
            reader.exec_driver_sql("SELECT 1")
            inside.wait(60)

    # Each of the two pools has six connections now.
    assert together([use] * 6) == [None] * 6
    postgres.end_connections(str(make_url(postgres_dsn).database))
    failures = 0
    for n in range(20):
        try:
            fire(database, f"{n:02}")
            names(database)
        except Unavailable:
            failures += 1
    # One for the pool of the writers, one for that of the readers.
    assert failures <= 2
    assert len(names(database)) >= 18
    database.close()


@pytest.mark.postgres
def test_a_deadlock_is_contention(postgres_dsn: str) -> None:
    database = Database(postgres_dsn)
    for name in "ab":
        fire(database, name)
    with database.write() as connection:
        connection.exec_driver_sql("SELECT 1")
    touch = "UPDATE schedule_fires SET fired_at = fired_at + 1 WHERE schedule = %s"
    both = threading.Barrier(2)

    def change(first: str, second: str) -> None:
        with database.write() as connection:
            # Asked for, so that the row is locked now and not at some time before the commit.
            assert connection.exec_driver_sql(touch, (first,)).rowcount == 1
            both.wait(60)
            connection.exec_driver_sql(touch, (second,))

    answers = together([lambda: change("a", "b"), lambda: change("b", "a")])
    assert sorted(type(answer).__name__ for answer in answers) == ["Contention", "NoneType"]
    database.close()


def test_a_file_that_is_no_database_is_said_to_be_unusable(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database" * 1000)
    with pytest.raises(Unavailable, match="the database cannot be used: file is not a database"):
        migrate.upgrade(f"sqlite:///{tmp_path / 'x.db'}")


def test_a_new_sqlite_file_and_its_log_can_be_read_by_their_owner_alone(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a)")
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    database.close()

    assert {"x.db", "x.db-wal"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_a_url_that_is_none_is_refused_without_being_repeated(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        Database("postgresql//ann:s3cret@host/name")
    assert "s3cret" not in str(refused.value)
