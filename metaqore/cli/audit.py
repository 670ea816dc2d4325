"""``metaqore audit``: the auditor's commands. They read a database or an export and import nothing of the server."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from metaqore.audit.block import usable_processes
from metaqore.audit.compliance_check import run_check_report
from metaqore.audit.findings import CANNOT_TELL
from metaqore.audit.offline import (
    cannot_tell,
    open_source,
    read_trust,
    run_check_receipt,
    run_consistency,
    run_export,
    run_prove,
    run_verify,
)
from metaqore.audit.source import Source
from metaqore.audit.standalone import generate
from metaqore.audit.verify import DEFAULT_TOLERANCE_MS, Options
from metaqore.errors import MetaQoreError

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_db = click.option("--db", metavar="DSN", help="SQLite path, sqlite:///path or postgresql://…")
_export = click.option("--export", type=_FILE, metavar="FILE", help="An export made by `metaqore audit export`.")
_trust = click.option("--trust", multiple=True, metavar="VKEY", help="A verifier key, or a file of them. Repeatable.")
_organization = click.option("--organization", help="Whose log, where there are several.")


#: The operator's commands: name → module and attribute.
_KEEPING = {
    "witness": ("metaqore.cli.audit_keeping", "witness_command"),
    "rotate-key": ("metaqore.cli.audit_keeping", "rotate_key_command"),
    "seal": ("metaqore.cli.audit_keeping", "seal_command"),
    "sinks": ("metaqore.cli.audit_sinks", "sinks_group"),
    "provenance": ("metaqore.cli.audit_provenance", "provenance_command"),
}


class _Group(click.Group):
    """Turns what cannot be read, and any fault, into exit code 2."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *_KEEPING]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        # The operator's commands need the engine, the auditor's must not: those are imported when they are asked for.
        if cmd_name not in _KEEPING:
            return super().get_command(ctx, cmd_name)
        module, attribute = _KEEPING[cmd_name]
        found: click.Command = getattr(import_module(module), attribute)
        return found

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except MetaQoreError as error:
            click.echo(f"CANNOT TELL: {error.message}", err=True)
            sys.exit(CANNOT_TELL)
        except Exception as error:
            sys.exit(cannot_tell(error))


@click.group("audit", cls=_Group)
def group() -> None:
    """Check the audit log offline. Exit codes: 0 intact, 1 tampered, 2 cannot tell."""


@group.command("verify")
@_db
@_export
@_trust
@click.option("--witness", type=click.Path(path_type=Path), metavar="FILE", help="A witness file kept outside.")
@click.option("--since", type=_FILE, metavar="CHECKPOINT", help="A file with a checkpoint kept from an earlier time.")
@click.option(
    "--tolerance", type=click.IntRange(0), default=DEFAULT_TOLERANCE_MS // 1000, show_default=True, metavar="SECONDS",
    help="How far times may go backwards.",
)  # fmt: skip
@click.option("--log-only", is_flag=True, help="Do not hold the log against what was done.")
def verify_command(
    db: str | None,
    export: Path | None,
    trust: tuple[str, ...],
    witness: Path | None,
    since: Path | None,
    tolerance: int,
    log_only: bool,
) -> None:
    """Verify every entry, checkpoint and signature; name the first bad entry and what was done to it."""
    options = Options(
        trust=read_trust(trust),
        witness=witness,
        since=since.read_text() if since is not None else None,
        tolerance_ms=tolerance * 1000,
        processes=usable_processes(),
        reconcile=not log_only,
    )
    source = _open(db, export)
    total = sum(source.last_seq(name) or 0 for name in source.organizations())
    lines: list[str] = []
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("Entries", total=total or None)
        code = run_verify(source, options, lines.append, lambda more: bar.advance(task, more))
    for line in lines:
        click.echo(line)
    sys.exit(code)


@group.command("prove")
@_db
@_export
@_trust
@_organization
@click.option("--seq", type=click.IntRange(1), required=True, help="The entry's sequence number.")
@click.option("--text", is_flag=True, help="As C2SP tlog-proof instead of JSON.")
def prove_command(
    db: str | None, export: Path | None, trust: tuple[str, ...], organization: str | None, seq: int, text: bool
) -> None:
    """Print a receipt: proof that an entry is in the log that was signed."""
    sys.exit(run_prove(_open(db, export), organization, seq, read_trust(trust), text, click.echo))


@group.command("check-receipt")
@click.argument("receipt", type=_FILE)
@_db
@_export
@_trust
@click.option("--entry", type=_FILE, metavar="FILE", help="The bytes of the entry, to be compared.")
@click.option("--headers", type=_FILE, metavar="FILE", help="The headers that came with a webhook's body.")
def check_receipt_command(
    receipt: Path,
    db: str | None,
    export: Path | None,
    trust: tuple[str, ...],
    entry: Path | None,
    headers: Path | None,
) -> None:
    """Check a receipt without any log; or, against the log, a result (`GET /requests/{id}`) or webhook that was kept.

    A webhook is its body, and with --headers a file of its headers: lines `Name: value`, or JSON.
    """
    body = entry.read_bytes() if entry is not None else None
    came_with = headers.read_text() if headers is not None else None
    source = None if db is None and export is None else _open(db, export)
    sys.exit(run_check_receipt(receipt.read_text(), read_trust(trust), body, source, click.echo, came_with))


@group.command("check-report")
@_db
@_export
@_trust
@click.argument("report", type=_FILE)
def check_report_command(db: str | None, export: Path | None, trust: tuple[str, ...], report: Path) -> None:
    """Check a report on controls (its JSON form): cited entries, proofs, states; with the log, the counts too."""
    source = None if db is None and export is None else _open(db, export)
    sys.exit(run_check_report(report.read_text("utf-8"), read_trust(trust), source, click.echo))


@group.command("consistency")
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE)
@_db
@_export
@_trust
def consistency_command(old: Path, new: Path, db: str | None, export: Path | None, trust: tuple[str, ...]) -> None:
    """Check that the log of checkpoint NEW begins with that of checkpoint OLD."""
    source = _open(db, export) if db is not None or export is not None else None
    sys.exit(run_consistency(old.read_text(), new.read_text(), source, read_trust(trust), click.echo))


@group.command("export")
@_db
@_organization
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write.")
def export_command(db: str | None, organization: str | None, out: Path) -> None:
    """Write one organization's log, with its checkpoints, to a JSON Lines file."""
    sys.exit(run_export(_open(db, None), organization, out, click.echo))


@group.command("verifier")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write.")
def verifier_command(out: Path) -> None:
    """Write the stand-alone verifier: one Python file that needs nothing but `cryptography`."""
    out.write_text(generate(out.name))
    click.echo(f"wrote {out}: run it with `python {out} --help`")


def _open(db: str | None, export: Path | None) -> Source:
    source = open_source(db, str(export) if export is not None else None)
    click.get_current_context().call_on_close(source.close)
    return source
