"""Makes a report from the command line: this process is one more worker for a moment."""

from __future__ import annotations

import os
import secrets
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from metaqore.audit.checkpoint import parse_checkpoint
from metaqore.audit.compliance_file import load_frameworks
from metaqore.bootstrap import one_off, seal_now
from metaqore.messages import TERMINAL, State, Submission
from metaqore.requests import long_work
from metaqore.settings import Settings
from metaqore.store.engine import Database
from metaqore.store.views.compliance import ComplianceViews
from metaqore.store.views.compliance_reports import ReportLogViews, ReportViews

#: How long a worker that was faster than this process may take.
_WAIT_S = 120.0


def made_report(
    settings: Settings, organization: str, framework: str, since: datetime | None, until: datetime | None
) -> str:
    """Make a report and return its document (JSON text).

    Args:
        since, until: the period, in UTC; None for the default.

    Raises:
        ClickException: it cannot be made; says why.
    """
    known = load_frameworks(settings.compliance_path)
    if framework not in known:
        raise click.ClickException(f"{framework!r} is no framework: one of {', '.join(known)}")
    payload = {"framework": framework, **_moment("from", since), **_moment("to", until)}
    asked = Submission(
        organization=organization, project=None, principal=os.environ.get("USER", "operator"),
        kind="compliance.report", payload=payload,
    )  # fmt: skip
    with one_off(settings) as (store, intake, executor):
        request = intake.submit([asked]).ids[0]
        _seal(settings, organization)
        long_work.drain(executor, "security")
        executor.drain("psmp")
        row = _finished(store, organization, request)
        if row["state"] != State.SUCCEEDED:
            error = msgspec.json.decode(row["error"] or "{}")
            raise click.ClickException(error.get("message") or f"request {request} is {row['state']}")
        report = msgspec.json.decode(row["result"]).get("report")
        document = ReportViews(store.database).document(organization, str(report))
    if document is None:
        raise click.ClickException(f"request {request} was {row['verdict']}: see `GET /requests/{request}`")
    return document


def stored_report(settings: Settings, organization: str, report: str) -> str:
    """Return the document (JSON text) of a report that was made before.

    Raises:
        ClickException: there is no such report.
    """
    database = Database(settings.dsn)
    try:
        document = ReportViews(database).document(organization, report)
    finally:
        database.close()
    if document is None:
        raise click.ClickException(f"report {report} does not exist in {organization}")
    return document


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600, as a whole or not at all.

    Raises:
        ClickException: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.replace(draft, path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from error


def _seal(settings: Settings, organization: str) -> None:
    """Cover what no checkpoint covers yet, where no worker runs that would."""
    database = Database(settings.dsn)
    try:
        note = ReportLogViews(database).newest(organization)
        entries = ComplianceViews(database).last(organization)
    finally:
        database.close()
    if note is None or parse_checkpoint(note).size < entries:
        seal_now(settings)


def _finished(store: Any, organization: str, request: str) -> Any:
    """Wait for a request that a running worker has taken; return its row."""
    until = time.monotonic() + _WAIT_S
    while True:
        with store.read() as tx:
            row = tx.reads("requests").request_row(organization, request)
        if State(row["state"]) in TERMINAL or time.monotonic() > until:
            return row
        time.sleep(0.2)


def _moment(name: str, moment: datetime | None) -> dict[str, str]:
    return {} if moment is None else {name: f"{moment.isoformat()}Z"}
