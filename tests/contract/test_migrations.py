"""The schema is the sum of the migrations, on both databases."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from metaqore.bootstrap import create_key, one_off
from metaqore.errors import SettingsError
from metaqore.settings import load
from metaqore.store import migrate
from metaqore.store.engine import Database
from metaqore.store.tables import metadata
from metaqore.store.views.health import HealthViews


@pytest.mark.filterwarnings("ignore:.*expression-based index")
def test_the_migrations_make_exactly_the_tables_that_the_code_knows(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})

        assert compare_metadata(context, metadata) == []


def test_migrating_twice_changes_nothing(database: Database) -> None:
    assert migrate.upgrade(database.dsn) == migrate.head() == migrate.current(database)


def test_tables_are_their_own_index_where_the_code_says_so_and_nowhere_else(database: Database) -> None:
    if not database.is_sqlite:
        pytest.skip("PostgreSQL has no such tables")
    with database.read() as connection:
        made = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()

    inside = {name for name, sql in made if "WITHOUT ROWID" in sql}
    assert inside == {name for name, t in metadata.tables.items() if not t.dialect_options["sqlite"]["with_rowid"]}


def test_what_versions_and_history_hold_is_kept_when_they_are_written_anew(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'old.db'}")
    versions = [(f"art_{i}", v, "acme", "x" * 3000 * v, "h", "PUBLIC", None, "{}", f"req_{i}", "ann", i, i, None)
                for i in range(40) for v in (1, 2)]  # fmt: skip
    history = [("prj_1", i, i, 7, "y" * 9000) for i in range(1, 40)]
    with database.migration() as connection:
        command.upgrade(migrate._config(connection), "0012")
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.executemany(f"INSERT INTO artifact_versions VALUES ({', '.join('?' * 13)})", versions)
        driver.executemany("INSERT INTO project_history VALUES (?, ?, ?, ?, ?)", history)

    migrate.upgrade(database.dsn)

    with database.read() as now:
        assert now.exec_driver_sql("SELECT * FROM artifact_versions ORDER BY position, version").fetchall() == versions
        assert now.exec_driver_sql("SELECT * FROM project_history ORDER BY last").fetchall() == history
        assert now.exec_driver_sql("SELECT name FROM sqlite_master WHERE name LIKE '%before'").fetchall() == []
    database.close()


@contextlib.contextmanager
def at_revision(database: Database, revision: str) -> Iterator[None]:
    """Say that the database is at ``revision``, for a while: the next test may get the same one."""
    say = database.sql("UPDATE alembic_version SET version_num = ?")
    with database.write() as connection:
        connection.exec_driver_sql(say, (revision,))
    try:
        yield
    finally:
        with database.write() as connection:
            connection.exec_driver_sql(say, (migrate.head(),))


def test_a_database_that_a_newer_release_has_migrated_is_refused_and_left_alone(database: Database) -> None:
    with at_revision(database, "9999"):
        with pytest.raises(SettingsError, match=r"revision 9999, which this release .* does not know"):
            migrate.upgrade(database.dsn)

        assert migrate.current(database) == "9999"
        assert "newer release" in HealthViews(database).database()["why"]


def test_an_older_schema_is_said_to_be_one_that_can_be_upgraded(database: Database) -> None:
    with at_revision(database, "0001"):
        found = HealthViews(database).database()

    assert not found["ok"]
    assert "metaqore db upgrade" in found["why"]


@pytest.mark.parametrize("revision", ["0001", "9999"])
def test_no_command_works_with_the_schema_of_another_release(database: Database, tmp_path: Path, revision: str) -> None:
    settings = load({"storage_dsn": database.dsn, "data_dir": str(tmp_path)}, environ={})
    refused = r"the database cannot be used: .* release"
    with at_revision(database, revision):
        with pytest.raises(SettingsError, match=refused):
            create_key(settings, principal="ann", name="ann", scopes=["*"])
        with pytest.raises(SettingsError, match=refused), one_off(settings):
            pytest.fail("it went on")

    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM api_keys").scalar() == 0
