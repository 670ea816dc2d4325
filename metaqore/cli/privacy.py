"""``metaqore privacy``: erasure (GDPR Art. 17), access (Art. 15), legal holds, retention."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from metaqore.audit.privacy import BASES, CLASSES, FLOOR_DAYS
from metaqore.cli.privacy_desk import Privacy
from metaqore.settings import load

_organization = click.option("--organization", default=None, help="Whose data; the installation's own by default.")


@click.group("privacy")
def group() -> None:
    """What becomes of the data of a person or an agent. SUBJECT is a principal, or a name given with the data."""


def _privacy(organization: str | None) -> Privacy:
    made = Privacy(load(), organization, by=os.environ.get("USER", "operator"))
    click.get_current_context().call_on_close(made.close)
    return made


@group.command("erase")
@click.argument("subject")
@_organization
@click.option("--basis", type=click.Choice(BASES), default="art17", show_default=True, help="Why, for the log.")
@click.option("--redis-url", help="Where results are cached; the running broker of the data folder by default.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase_command(subject: str, organization: str | None, basis: str, redis_url: str | None, yes: bool) -> None:
    """Destroy a subject's key, payloads, results, versions and model calls; the audit log stays whole.

    Names and ids stay: they are identifiers. So do versions that others made of the same text. Backups of the database
    keep sealed payloads that nobody can read any more, and the rest until they expire.
    """
    privacy = _privacy(organization)
    counts = privacy.belongings(subject)
    if counts is None:
        click.echo(f"{subject} was erased; cleaning broker and files")
    else:
        click.echo(", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing is kept")
    if not yes and counts is not None:
        click.confirm(f"Erase all of it, for good, for {subject}?", abort=True)
    for line in privacy.erase(subject, basis, redis_url):
        click.echo(line)


@group.command("export")
@click.argument("subject")
@_organization
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The JSON file to write.")
def export_command(subject: str, organization: str | None, out: Path) -> None:
    """Write everything that is kept of a subject to a file only you can read."""
    found = _privacy(organization).export(subject)
    with open(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(found, file, ensure_ascii=False, indent=1)
    click.echo(f"wrote {out}")


@group.command("hold")
@click.argument("subject", required=False)
@_organization
@click.option("--reason", required=True, help="The matter the hold belongs to.")
def hold_command(subject: str | None, organization: str | None, reason: str) -> None:
    """Place a legal hold on a subject, or on the whole organization: nothing is erased and nothing expires."""
    click.echo(_privacy(organization).run("hold.place", subject, reason=reason)["id"])


@group.command("release")
@click.argument("hold")
@_organization
def release_command(hold: str, organization: str | None) -> None:
    """Release a legal hold."""
    _privacy(organization).run("hold.release", hold=hold)
    click.echo(f"released {hold}")


@group.command("holds")
@_organization
def holds_command(organization: str | None) -> None:
    """List the legal holds in force."""
    for row in _privacy(organization).holds():
        click.echo(f"{row['id']}  {row['subject'] or 'all'}  {row['reason']}")


@group.command("retention")
@_organization
@click.option("--class", "data_class", type=click.Choice(CLASSES), help="Which payloads.")
@click.option("--days", type=click.IntRange(FLOOR_DAYS), help="How long they are kept.")
def retention_command(organization: str | None, data_class: str | None, days: int | None) -> None:
    """Show how long payloads are kept, or choose it for a class."""
    privacy = _privacy(organization)
    if (data_class is None) != (days is None):
        raise click.UsageError("give --class and --days together")
    if data_class is not None:
        privacy.run("retention.save", **{"class": data_class, "days": days})
    for name, kept in privacy.retention().items():
        click.echo(f"{name}: {kept} days")
