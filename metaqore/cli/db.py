"""``metaqore db``: the schema of the database."""

from __future__ import annotations

import click

from metaqore.settings import load
from metaqore.store import migrate
from metaqore.store.engine import Database


@click.group()
def group() -> None:
    """Look after the database."""


@group.command()
def upgrade() -> None:
    """Bring the database to the schema of this release."""
    click.echo(f"the database is at revision {migrate.upgrade(load().dsn)}")


@group.command()
def status() -> None:
    """Say what database it is and which revision it is at."""
    database = Database(load().dsn)
    current = migrate.current(database)
    click.echo(f"{database.version()}, revision {current or 'none'}, newest {migrate.head()}")
    database.close()
    raise SystemExit(0 if current == migrate.head() else 1)
