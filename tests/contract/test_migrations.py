"""The schema is the sum of the migrations, on both databases."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from metaqore.store import migrate
from metaqore.store.engine import Database
from metaqore.store.tables import metadata


def test_the_migrations_make_exactly_the_tables_that_the_code_knows(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})

        assert compare_metadata(context, metadata) == []


def test_migrating_twice_changes_nothing(database: Database) -> None:
    assert migrate.upgrade(database.dsn) == migrate.head() == migrate.current(database)
