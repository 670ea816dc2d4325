"""``metaqore approvals``: what waits for a person's word, and the word itself, where MetaQore runs."""

from __future__ import annotations

import getpass
import sys
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from metaqore.bootstrap import one_off
from metaqore.clock import to_rfc3339
from metaqore.messages import State, Submission, Verdict
from metaqore.psmp.approvals import PROPOSAL
from metaqore.security.approved import PAYLOAD
from metaqore.settings import Settings, load
from metaqore.store.engine import Database
from metaqore.store.views.psmp_approvals import ApprovalViews

_by = click.option(
    "--by", default=getpass.getuser, show_default="your user name", help="In whose name; kept in the audit log."
)
_reason = click.option("--reason", default="", help="Kept with the approval.")
_hash = click.option("--content", "content_hash", metavar="SHA256", help="Refuse unless it is about this content.")


@click.group("approvals")
def group() -> None:
    """Answer what agents have escalated to a person."""


@group.command("list")
@click.option("--all", "all_", is_flag=True, help="Answered ones as well.")
@click.option("--project", help="Of one project.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(all_: bool, project: str | None, as_json: bool) -> None:
    """List approvals, the newest first."""
    settings = load()
    database = Database(settings.dsn)
    try:
        views = ApprovalViews(database)
        state = None if all_ else "open"
        found = views.approvals(settings.organization, project=project, state=state, after=None, limit=200).items
    finally:
        database.close()
    if as_json:
        for row in found:
            click.echo(msgspec.json.encode(dict(row)))
        return
    table = Table("approval", "about", "by", "content", "expires", "state", "reason", box=None)
    for row in found:
        about = f"{row['subject_kind']} {row['base'].get('kind') or row['subject']}"
        table.add_row(row["id"], about, row["author"], row["content_hash"][:12], to_rfc3339(row["expires_at"]),
                      row["state"], row["reason"])  # fmt: skip
    Console(highlight=False, soft_wrap=True).print(table if found else "nothing waits for an answer")


@group.command("show")
@click.argument("approval")
def show(approval: str) -> None:
    """Print an approval with what it is about, as JSON."""
    settings = load()
    with one_off(settings) as (store, _, _), store.read() as tx:
        reads = tx.reads("psmp")
        found = reads.approval(settings.organization, approval)
        if found is None:
            raise click.ClickException(f"approval {approval} does not exist in {settings.organization}")
        proposal = None
        if found.subject_kind == PROPOSAL:
            proposal = reads.proposal(settings.organization, found.subject)
        request = found.base.get("request") if found.subject_kind == PAYLOAD else None
        payload = ApprovalViews(store.database).payload(settings.organization, request) if request else None
    shown = {**msgspec.to_builtins(found), "proposal": msgspec.to_builtins(proposal), "payload": payload}
    click.echo(msgspec.json.format(msgspec.json.encode(shown), indent=2))


@group.command("approve")
@click.argument("approval")
@_by
@_reason
@_hash
def approve(approval: str, by: str, reason: str, content_hash: str | None) -> None:
    """Let through exactly the content that APPROVAL is about; not your own."""
    _answer("approve", approval, by, reason, content_hash)


@group.command("deny")
@click.argument("approval")
@_by
@_reason
@_hash
def deny(approval: str, by: str, reason: str, content_hash: str | None) -> None:
    """Refuse APPROVAL; a proposal is closed with it."""
    _answer("deny", approval, by, reason, content_hash)


def _answer(answer: str, approval: str, by: str, reason: str, content_hash: str | None) -> None:
    settings = load()
    row = _decided(settings, answer, approval, by, reason, content_hash)
    if row["state"] == State.SUCCEEDED and row["verdict"] == Verdict.APPROVED:
        artifact = msgspec.json.decode(row["result"]).get("artifact")
        done = f": {artifact['type']}/{artifact['name']} is at version {artifact['version']}" if artifact else ""
        click.echo(f"{approval} {'approved' if answer == 'approve' else 'denied'}{done}")
        return
    if row["error"]:
        raise click.ClickException(msgspec.json.decode(row["error"])["message"])
    if row["state"] == State.SUCCEEDED:
        conflicts = msgspec.json.decode(row["result"]).get("blocking_report", {}).get("conflicts", [])
        raise click.ClickException("; ".join(c["message"] for c in conflicts) or "it is blocked")
    click.echo(f"accepted as {row['id']}; a worker decides it after what is before it", err=True)
    sys.exit(3)


def _decided(settings: Settings, answer: str, approval: str, by: str, reason: str, content: str | None) -> Any:
    """Submit the answer, and decide it here: this process is one more worker for a moment.

    Whoever can run this on the machine of the database has every scope there.
    """
    with one_off(settings) as (store, intake, executor):
        with store.read() as tx:
            found = tx.reads("psmp").approval(settings.organization, approval)
        if found is None:
            raise click.ClickException(f"approval {approval} does not exist in {settings.organization}")
        payload = {"approval": approval, "answer": answer, "reason": reason, "content_hash": content,
                   "authority": [found.needed_scope]}  # fmt: skip
        asked = Submission(organization=settings.organization, project=found.project, principal=by,
                           kind="approval.answer", payload=payload)  # fmt: skip
        request = intake.submit([asked]).ids[0]
        executor.drain("psmp")
        with store.read() as tx:
            return tx.reads("requests").request_row(settings.organization, request)
