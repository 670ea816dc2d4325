"""``metaqore compliance``: SecureGateway's decisions in the known line format, and the known report over them."""

from __future__ import annotations

import os
from pathlib import Path

import click

from metaqore.audit.compliance import write_export
from metaqore.bootstrap import one_off
from metaqore.messages import Submission
from metaqore.scripts.compliance_report import command as report_command
from metaqore.settings import load
from metaqore.store.views.compliance import ComplianceViews


@click.group("compliance")
def group() -> None:
    """Extracts of the audit log for compliance work. They support evidence; `metaqore audit verify` proves the log."""


group.add_command(report_command)


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
