"""``metaqore keys``: API keys for the organization of the settings."""

from __future__ import annotations

import click

from metaqore.bootstrap import create_key
from metaqore.security.keys import ALL, SCOPES
from metaqore.settings import load


@click.group()
def group() -> None:
    """Look after API keys."""


@group.command()
@click.option("--principal", required=True, help="Who the key speaks for, e.g. an agent's name.")
@click.option("--name", default="", help="What it is for.")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice([*SCOPES, ALL]))
@click.option("--test", is_flag=True, help="Make a key for a test environment.")
def create(principal: str, name: str, scopes: tuple[str, ...], test: bool) -> None:
    """Create a key and print it. It is shown this once."""
    environment = "test" if test else "live"
    click.echo(
        create_key(load(), principal=principal, name=name or principal, scopes=list(scopes), environment=environment)
    )
