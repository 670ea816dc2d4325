"""Brings a database to the schema of this release, with alembic, under a lock."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from metaqore.errors import SettingsError, Unavailable
from metaqore.store import tenant
from metaqore.store.engine import Database

_LOCK = 5060742


def upgrade(dsn: str) -> str:
    """Migrate the database at ``dsn`` to the newest revision and return that revision.

    Any number of processes may call it at once: one migrates, the others wait.

    Raises:
        SettingsError: the DSN cannot be used, or a newer release has migrated the database.
        Unavailable: the database cannot be reached.
    """
    database = Database(dsn)
    try:
        with database.migration() as connection:
            if not database.is_sqlite:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            config = _config(connection)
            _refuse_unknown(connection, config)
            command.upgrade(config, "head")
            if not database.is_sqlite:
                tenant.protect(connection)
        return head()
    finally:
        database.close()


def mismatch(revision: str | None) -> str | None:
    """Return why this release cannot work with a schema at ``revision`` and what to do; None where it can."""
    if revision == head():
        return None
    if revision is None or revision in _revisions(_config(None)):
        return "the schema is older than this release: run `metaqore db upgrade`"
    return "a newer release has migrated the database: install that release here, too"


def check(database: Database) -> None:
    """Refuse to work with another schema than this release's.

    Raises:
        SettingsError: it is another one.
        Unavailable: the database cannot be reached.
    """
    why = mismatch(current(database))
    if why is not None:
        raise SettingsError(f"the database cannot be used: {why}")


def _revisions(config: Config) -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}


def _refuse_unknown(connection: Connection, config: Config) -> None:
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in _revisions(config):
        raise SettingsError(
            f"the database is at revision {found}, which this release (up to {head()}) does not know: a newer one has "
            "migrated it. Install that release, or restore a backup from before"
        )


def head() -> str:
    """Return the newest revision this release knows."""
    return str(ScriptDirectory.from_config(_config(None)).get_current_head())


def current(database: Database) -> str | None:
    """Return the revision a database is at; None where it was never migrated.

    Raises:
        Unavailable: the database cannot be reached.
    """
    try:
        with database.engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except DBAPIError as error:
        raise Unavailable(f"the database cannot be reached: {type(error).__name__}") from error


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    if connection is not None:
        config.attributes["connection"] = connection
    return config
