"""``metaqore db``: the schema of the database, and its files."""

from __future__ import annotations

import click

from metaqore.adapters.cleaning import LEFT_BY_POSTGRES
from metaqore.errors import Unavailable
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


@group.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def compact(yes: bool) -> None:
    """Rewrite the database, so that nothing of what was erased or has expired is left in its files.

    Every erasure does so by itself, and retention up to 512 MB. Beyond that, retention overwrites what expires where it
    lies, but an old copy may stay in the unused part of a page until this is run: the log of the system worker says so
    (expired_content_may_remain).
    """
    database = Database(load().dsn)
    try:
        if migrate.current(database) is None:
            raise Unavailable("this is no database of MetaQore, or an empty one: there is nothing to rewrite")
        before = database.size()
        if not yes:
            asked = (
                f"Rewrite {before / 1e6:,.1f} MB? Writers wait meanwhile, and twice as much must be free on the disk"
            )
            click.confirm(asked, abort=True)
        clean = database.compact()
        click.echo(f"rewrote {before / 1e6:,.1f} MB to {database.size() / 1e6:,.1f} MB")
        click.echo("its files hold nothing of what was deleted" if clean else LEFT_BY_POSTGRES)
    finally:
        database.close()
