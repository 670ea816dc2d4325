"""``python -m metaqore.scripts.compliance_report --organization acme --log-dir DIR [--json]``.

Exit codes: 0 reported, 1 reported but some lines are corrupt (they are named), 2 there is no file or it cannot be read.
That lines of others were left out goes to the error output, for scripts read the known layout from the other one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from metaqore.audit.compliance_lines import file_name
from metaqore.audit.compliance_report import report_of, report_on, text_of
from metaqore.errors import InvalidInput

_CORRUPT, _UNREADABLE = 1, 2


@click.command("report")
@click.option("--organization", required=True, help="Whose events are counted.")
@click.option(
    "--log-dir", type=click.Path(path_type=Path), required=True, help="Where compliance_audit_<organization>.jsonl is."
)
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def command(organization: str, log_dir: Path, as_json: bool) -> None:
    """Count an organization's routing decisions and vetoes in its exported file.

    Exit codes: 0 reported, 1 some lines are corrupt, 2 the file is missing or cannot be read. A directory without the
    file has no events of the organization: the report says 0, and the exit code still is 2.
    """
    try:
        path = log_dir / file_name(organization)
        report = report_on(path, organization)
    except (InvalidInput, OSError) as error:
        if isinstance(error, FileNotFoundError) and log_dir.is_dir():
            _print(report_of(organization), as_json)
        click.echo(f"Error: {_what(error, organization)}", err=True)
        sys.exit(_UNREADABLE)
    others = report.pop("other_organizations", 0)
    _print(report, as_json)
    if others:
        click.echo(f"{path}: {others} events of other organizations were not counted", err=True)
    if "corrupt_lines" in report:
        click.echo(f"{path}: {report['corrupt_lines']['count']} corrupt lines were not counted", err=True)
        sys.exit(_CORRUPT)


def _print(report: Mapping[str, Any], as_json: bool) -> None:
    click.echo(json.dumps(report, indent=2) if as_json else text_of(report))


def _what(error: InvalidInput | OSError, organization: str) -> str:
    if isinstance(error, InvalidInput):
        return error.message
    if isinstance(error, FileNotFoundError):
        make = f"`metaqore compliance export --organization {organization} --log-dir …`"
        return f"{error.filename} does not exist: check --log-dir, or write the file with {make}"
    return f"{error.filename or 'the file'} cannot be read: {error.strerror or error}"


if __name__ == "__main__":
    command(prog_name="python -m metaqore.scripts.compliance_report")
