"""``metaqore compliance``: reports on controls, and SecureGateway's decisions in the known line format."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import click

from metaqore.audit.compliance import write_export
from metaqore.audit.compliance_file import load_frameworks
from metaqore.audit.compliance_forms import FORMS, in_form
from metaqore.bootstrap import one_off
from metaqore.cli.compliance_reports import made_report, stored_report, write_private
from metaqore.clock import to_rfc3339
from metaqore.messages import Submission
from metaqore.scripts.compliance_report import command as known_report
from metaqore.settings import load
from metaqore.store.engine import Database
from metaqore.store.views.compliance import ComplianceViews
from metaqore.store.views.compliance_reports import ReportViews

_form = click.option("--format", "form", type=click.Choice([*FORMS]), default="json", show_default=True)
_out = click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="A file only you can read; else it is printed."
)
_DATE = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"])


@click.group("compliance")
def group() -> None:
    """What the audit log supports evidence for. `metaqore audit check-report` and `verify` prove it."""


@group.command("report")
@click.option("--framework", help="The controls to report on; see `metaqore compliance frameworks`.")
@_form
@click.option("--from", "since", type=_DATE, help="UTC; 90 days before the end by default.")
@click.option("--to", "until", type=_DATE, help="UTC, not included; now by default.")
@_out
@click.option("--organization", help="Whose log; the installation's own by default.")
@click.option("--log-dir", type=click.Path(path_type=Path), help="Count the lines of an exported file instead.")
@click.option("--json", "as_json", is_flag=True, help="With --log-dir: as one JSON object.")
@click.pass_context
def report_command(
    ctx: click.Context,
    framework: str | None,
    form: str,
    since: datetime | None,
    until: datetime | None,
    out: Path | None,
    organization: str | None,
    log_dir: Path | None,
    as_json: bool,
) -> None:
    """Report on the controls of a framework, with proofs; or, with --log-dir, count an exported file's events.

    The report is made by this command itself, kept, recorded in the log and as an artifact.
    """
    if framework is None:
        if organization is None or log_dir is None:
            raise click.UsageError("give --framework, or --organization with --log-dir")
        ctx.invoke(known_report, organization=organization, log_dir=log_dir, as_json=as_json)
        return
    if log_dir is not None or as_json:
        raise click.UsageError("--log-dir and --json do not go with --framework: choose a --format")
    settings = load()
    _write(made_report(settings, organization or settings.organization, framework, since, until), form, out)


@group.command("show")
@click.argument("report")
@_form
@_out
@click.option("--organization", help="Whose report; the installation's own by default.")
def show_command(report: str, form: str, out: Path | None, organization: str | None) -> None:
    """Print a report that was made before, in another form or the same."""
    settings = load()
    _write(stored_report(settings, organization or settings.organization, report), form, out)


@group.command("reports")
@click.option("--organization", help="Whose reports; the installation's own by default.")
@click.option("--framework", help="Only those on this framework.")
def reports_command(organization: str | None, framework: str | None) -> None:
    """List the reports there are, the newest first."""
    settings = load()
    database = Database(settings.dsn)
    try:
        page = ReportViews(database).reports(
            organization or settings.organization, framework=framework, after=None, limit=200
        )
    finally:
        database.close()
    for row in page.items:
        days = f"{to_rfc3339(row['period_start'])[:10]} to {to_rfc3339(row['period_end'])[:10]}"
        told = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in row["summary"].items())
        click.echo(f"{row['id']}  {row['framework']}  {days}  {told}")


@group.command("frameworks")
def frameworks_command() -> None:
    """List the frameworks that can be reported on."""
    for framework in load_frameworks(load().compliance_path).values():
        click.echo(f"{framework.id}  {framework.title} ({len(framework.controls)} controls)")


@group.command("export")
@click.option("--organization", help="Whose decisions; the installation's own by default.")
@click.option(
    "--log-dir", type=click.Path(file_okay=False, path_type=Path), required=True,
    help="Where compliance_audit_<organization>.jsonl is written, anew.",
)  # fmt: skip
def export_command(organization: str | None, log_dir: Path) -> None:
    """Write every routing decision and veto to a file only you can read; the export itself is recorded."""
    settings = load()
    chosen = organization or settings.organization
    with one_off(settings) as (store, _, executor):

        def recorded(events: int, digest: str) -> None:
            asked = Submission(
                organization=chosen, project=None, principal=os.environ.get("USER", "operator"),
                kind="compliance.export", payload={"events": events, "digest": digest},
            )  # fmt: skip
            executor.run_now(asked)

        decided = ComplianceViews(store.database).decided(chosen)
        path, events = write_export(log_dir, chosen, decided, recorded)
    click.echo(f"wrote {path}: {events} events")


def _write(document: str, form: str, out: Path | None) -> None:
    text = in_form(document, form)
    if out is None:
        click.echo(text, nl=not text.endswith("\n"))
        return
    write_private(out, text)
    click.echo(f"wrote {out}", err=True)
