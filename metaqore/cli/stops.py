"""``metaqore stops``: the kill switch where MetaQore runs, also while its API does not answer."""

from __future__ import annotations

import getpass
from datetime import datetime
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from metaqore.bootstrap import one_off
from metaqore.clock import to_rfc3339
from metaqore.messages import Submission
from metaqore.security.stops import KINDS
from metaqore.settings import load

_TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S%z"])
_kind = click.argument("kind", type=click.Choice(KINDS))
_by = click.option(
    "--by", default=getpass.getuser, show_default="your user name", help="In whose name; kept in the audit log."
)


@click.group("stops")
def group() -> None:
    """Stop a principal, a project or a provider, and let it go on."""


@group.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(as_json: bool) -> None:
    """List what is stopped."""
    settings = load()
    with one_off(settings) as (store, _, _), store.read() as tx:
        found = tx.reads("security").stops(settings.organization, None)
    if as_json:
        for stop in found:
            click.echo(msgspec.json.encode(stop))
        return
    table = Table("kind", "subject", "since", "by", "reason", box=None)
    for stop in found:
        table.add_row(stop.kind, stop.subject, to_rfc3339(stop.set_at), stop.set_by, stop.reason)
    Console(highlight=False, soft_wrap=True).print(table if found else "nothing is stopped")


@group.command("set")
@_kind
@click.argument("subject")
@click.option("--reason", required=True, help="Told to whoever is stopped.")
@click.option("--quarantine-since", "since", type=_TIME, help="What it made since then is set aside, too (UTC).")
@_by
def set_(kind: str, subject: str, reason: str, since: datetime | None, by: str) -> None:
    """Stop SUBJECT within a second: what was accepted of it before, and calls that are out, as well."""
    at = None if since is None else int(since.timestamp() * 1000)
    _run("stop.set", by, {"kind": kind, "subject": subject, "reason": reason, "quarantine_since": at})
    click.echo(f"{kind} {subject} is stopped")


@group.command("lift")
@_kind
@click.argument("subject")
@_by
def lift(kind: str, subject: str, by: str) -> None:
    """Let SUBJECT go on."""
    _run("stop.lift", by, {"kind": kind, "subject": subject})
    click.echo(f"{kind} {subject} goes on")


def _run(kind: str, by: str, payload: dict[str, Any]) -> None:
    """Run it here. Nobody is rung for: doors and workers look by themselves, twice and four times in a second."""
    settings = load()
    with one_off(settings) as (_, _, executor):
        executor.run_now(
            Submission(organization=settings.organization, project=None, principal=by, kind=kind, payload=payload)
        )
