"""``metaqore specialists``: which specialists there are, and what they did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from metaqore import bootstrap
from metaqore.settings import load
from metaqore.store.views.hmcp import HmcpViews

_PAGE = 200


@click.command("specialists")
@click.option("--organization", default=None, help="Whose; the installation's own by default.")
@click.option("--all", "everything", is_flag=True, help="Retired and refused ones too.")
def command(organization: str | None, everything: bool) -> None:
    """List specialists: state, calls served, left and compared, disagreements, tokens saved."""
    settings = load()
    database = bootstrap.open_database(settings)
    shown, after = 0, None
    try:
        views = HmcpViews(database)
        while True:
            page = views.specialists(
                organization or settings.organization, state=None, pattern=None, after=after, limit=_PAGE
            )
            for row in page.items:
                if everything or row["state"] in ("active", "proposed"):
                    click.echo(_line(row))
                    shown += 1
            after = page.last
            if after is None:
                break
    finally:
        database.close()
    if not shown:
        click.echo("no specialists: train one for a pattern with POST /api/v1/specialists/train")
    click.echo(f"METAQORE_SPECIALIST_ROUTING is {settings.specialist_routing}")


def _line(row: Mapping[str, Any]) -> str:
    service = row["service"]
    compared = service["audited"] + service["shadow"]
    return (
        f"{row['id']} {row['state']:8} version {row['version']} of {row['pattern']}: {service['served']} served, "
        f"{service['abstained']} left to the provider, {compared} compared, {service['disagreed']} disagreed, "
        f"{service['saved_tokens']} tokens saved"
    )
