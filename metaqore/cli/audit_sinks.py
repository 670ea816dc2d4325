"""``metaqore audit sinks``: where audit entries are streamed to as CloudEvents, and how far each sink is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from metaqore.adapters.egress_http import SocketNetwork
from metaqore.bootstrap import one_off
from metaqore.clock import to_rfc3339
from metaqore.delivery.webhooks import Sender
from metaqore.kinds import egress
from metaqore.messages import Submission
from metaqore.requests.model import Ran
from metaqore.settings import Settings, load

_organization = click.option("--organization", default=None, help="Whose log; the installation's own by default.")


@click.group("sinks")
def sinks_group() -> None:
    """Stream audit entries to a SIEM as CloudEvents 1.0: at least once, in order, none ever dropped."""


@sinks_group.command("list")
@_organization
def list_command(organization: str | None) -> None:
    """List sinks with their lag: how many entries they have not taken."""
    settings = load()
    with one_off(settings) as (store, _, _), store.read() as tx:
        rows = tx.reads("sinks").sinks(organization or settings.organization)
    for row in rows:
        click.echo(_line(row))
    if not rows:
        click.echo("no sinks: add one with `metaqore audit sinks add NAME --url URL`")


@sinks_group.command("add")
@click.argument("name")
@_organization
@click.option("--url", help="A receiver of CloudEvents over HTTPS.")
@click.option("--file", "path", type=click.Path(dir_okay=False, path_type=Path), help="A file of one event a line.")
@click.option("--mode", type=click.Choice(["batch", "structured"]), default="batch", show_default=True,
              help="Up to 256 events in a body, or one.")  # fmt: skip
@click.option("--from-now", is_flag=True, help="Leave out what is in the log already.")
def add_command(
    name: str, organization: str | None, url: str | None, path: Path | None, mode: str, from_now: bool
) -> None:
    """Add a sink. A webhook's secret (Standard Webhooks, `webhook-signature`) is printed this once."""
    if (url is None) == (path is None):
        raise click.UsageError("give either --url or --file")
    settings = load()
    if url is not None:
        Sender(SocketNetwork(), egress(settings)).check(url)
    payload = {
        "name": name, "kind": "file" if path is not None else "webhook", "mode": mode, "from": 0 if from_now else 1,
        "target": str(path.resolve()) if path is not None else url,
    }  # fmt: skip
    ran = _run(settings, organization, "sink.add", payload)
    click.echo(f"added {name} ({ran.result['id']}): entries after {ran.result['after']}, sent by the system worker")
    if "secret" in ran.once:
        click.echo(f"secret: {ran.once['secret']}")


@sinks_group.command("remove")
@click.argument("name")
@_organization
def remove_command(name: str, organization: str | None) -> None:
    """Remove a sink with its cursor; the log keeps what it has not taken."""
    _run(load(), organization, "sink.remove", {"name": name})
    click.echo(f"removed {name}")


def _run(settings: Settings, organization: str | None, kind: str, payload: Mapping[str, Any]) -> Ran:
    asked = Submission(organization=organization or settings.organization, project=None, kind=kind, payload=payload,
                       principal=os.environ.get("USER", "operator"))  # fmt: skip
    with one_off(settings) as (_, _, executor):
        return executor.run_now(asked)


def _line(row: Mapping[str, Any]) -> str:
    state = f"lag {row['lag']} entries"
    if row["failures"]:
        state += f", failed {row['failures']} times ({row['last_error']}), next try {to_rfc3339(row['next_at'])}"
    return f"{row['name']}  {row['kind']}  {row['target']}  {row['mode']}  taken up to {row['cursor']}, {state}"
