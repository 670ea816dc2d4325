"""``metaqore keys``: API keys for the organization of the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from metaqore.bootstrap import create_key, run_control
from metaqore.clock import now_ms, to_rfc3339
from metaqore.security.key_handlers import MAX_OVERLAP_S
from metaqore.security.keys import ALL, ROLES, SCOPES, PrincipalKind, hash_secret, mint
from metaqore.settings import Settings, load
from metaqore.store.engine import Database
from metaqore.store.views.security import SecurityViews

_KINDS = [kind.value for kind in PrincipalKind]
_TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%SZ"])


@click.group()
def group() -> None:
    """Look after API keys."""


@group.command()
@click.option("--principal", required=True, help="Who the key speaks for, e.g. an agent's name.")
@click.option("--kind", type=click.Choice(_KINDS), help="What the principal is; its first key decides.")
@click.option("--name", default="", help="What it is for.")
@click.option("--scope", "scopes", multiple=True, type=click.Choice([*SCOPES, ALL]))
@click.option("--role", type=click.Choice([*ROLES]), help="A set of scopes, instead of or beside --scope.")
@click.option("--expires", type=_TIME, help="When it stops working, e.g. 2027-01-31 or 2027-01-31T12:00:00Z.")
@click.option("--test", is_flag=True, help="Make a key for a test environment.")
def create(
    principal: str, kind: str | None, name: str, scopes: tuple[str, ...], role: str | None, expires: datetime | None,
    test: bool,
) -> None:  # fmt: skip
    """Create a key and print it. It is shown this once."""
    wanted = sorted({*scopes, *ROLES.get(role or "", ())})
    if not wanted:
        raise click.UsageError("a key needs --scope or --role")
    text = create_key(
        load(), principal=principal, name=name or principal, scopes=wanted, kind=kind,
        environment="test" if test else "live",
        expires_at=None if expires is None else int(expires.timestamp() * 1000),
    )  # fmt: skip
    click.echo(text)


@group.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(as_json: bool) -> None:
    """List the keys; never a secret."""
    rows = [*_all(load())]
    if as_json:
        for row in rows:
            click.echo(msgspec.json.encode(row))
        return
    table = Table(box=None)
    for column in ("id", "principal", "name", "scopes", "state"):
        table.add_column(column, no_wrap=column in ("id", "state"))
    for row in rows:
        table.add_row(row["id"], row["principal"], row["name"], " ".join(row["scopes"]), _state(row))
    Console().print(table)


@group.command()
@click.argument("key_id")
@click.option("--overlap", type=click.IntRange(0, MAX_OVERLAP_S), default=3600, show_default=True,
              help="Seconds for which the secret that it has still works.")  # fmt: skip
def rotate(key_id: str, overlap: int) -> None:
    """Give a key a new secret and print it. It is shown this once."""
    settings = load()
    with closing(Database(settings.dsn)) as database:
        row = SecurityViews(database).key(settings.organization, key_id)
    text, key = mint((row["environment"] if row is not None else None) or "live", key_id)
    run_control(settings, "key.rotate", {"id": key_id, "secret_hash": hash_secret(key.secret), "overlap_s": overlap})
    click.echo(text)


@group.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """Revoke a key. It stops working within a second, and so do the tokens that were made with it."""
    ended = run_control(load(), "key.revoke", {"id": key_id})
    click.echo(f"{key_id} was revoked at {to_rfc3339(ended['revoked_at'])}")


def _all(settings: Settings) -> Iterator[Mapping[str, Any]]:
    with closing(Database(settings.dsn)) as database:
        views, after = SecurityViews(database), None
        while True:
            page = views.keys(settings.organization, after=after, limit=200)
            yield from page.items
            if page.last is None:
                return
            after = page.last


def _state(row: Mapping[str, Any]) -> str:
    if row["revoked_at"] is not None:
        return f"revoked {to_rfc3339(row['revoked_at'])}"
    if row["expires_at"] is None:
        return "valid"
    return f"{'expired' if row['expires_at'] <= now_ms() else 'valid until'} {to_rfc3339(row['expires_at'])}"
