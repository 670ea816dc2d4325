"""``metaqore demo``."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from metaqore.cli.demo.agents import Unexpected
from metaqore.cli.demo.audit import verify_log
from metaqore.cli.demo.drive import Drive
from metaqore.cli.demo.installation import Installation, folder_for_a_while
from metaqore.cli.demo.page import write_page
from metaqore.cli.demo.progress import Display
from metaqore.cli.demo.receiver import Listener, Receiver
from metaqore.cli.demo.record import Record
from metaqore.cli.demo.table import show
from metaqore.embedded.supervisor import Event
from metaqore.errors import MetaQoreError

#: What a shell expects of a program that Ctrl-C ended.
INTERRUPTED = 130


@click.command("demo")
@click.option(
    "--repo", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path(), metavar="PATH",
    help="The git repository whose history is used.  [default: the one you are in]",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), default=Path("demo-report.html"), show_default=True,
    help="Where the page about the run goes.",
)  # fmt: skip
@click.option("--keep", is_flag=True, help="Keep the data folder, with the database and the logs.")
def command(repo: Path, out: Path, keep: bool) -> None:
    """Run a whole MetaQore on the history of a git repository, and show what it did.

    Starts everything in a folder of its own, lets agents submit concurrent edits, be blocked and find the way out,
    asks a model, finds the pattern, trains a specialist, verifies webhooks and the audit log, and stops everything.
    Exit code 0 where all was as it should be.
    """
    if not out.absolute().parent.is_dir():
        raise click.UsageError(f"--out {out}: the folder {out.absolute().parent} does not exist")
    signal.signal(signal.SIGTERM, _as_interrupt)
    console = Console(highlight=False)
    try:
        ok = run(repo, out, console, keep=keep)
    except KeyboardInterrupt:
        console.print("interrupted; everything is stopped", style="yellow")
        sys.exit(INTERRUPTED)
    sys.exit(0 if ok else 1)


def run(repo: Path, out: Path, console: Console, *, keep: bool) -> bool:
    """Run the demonstration, show the closing table and write the page; return whether all was as it should be.

    Raises:
        MetaQoreError: it could not be brought to its end.
        KeyboardInterrupt: it was interrupted; everything is stopped by then.
    """
    record = Record()
    with folder_for_a_while(keep) as folder:
        drive = _driven(repo, folder, record, console, keep=keep)
        with record.act("audit"):
            verify_log(folder / "metaqore.db", drive.installation.settings.organization, record)
    deaths = record.facts.get("deaths", [])
    record.check("every process lives to the end", not deaths, "; ".join(deaths) or "none had to be started again")
    show(record, drive, console)
    write_page(out, record, drive)
    console.print(f"\nreport   {out.absolute()}", soft_wrap=True)
    if keep:
        console.print(f"data     {folder}", soft_wrap=True)
    return record.ok


def _driven(repo: Path, folder: Path, record: Record, console: Console, *, keep: bool) -> Drive:
    """Start everything, run all acts, stop everything.

    Raises:
        MetaQoreError: what ended the run early.
    """
    with Receiver() as receiver, Listener() as cloud, Display(console, record) as display:
        stopping = threading.Event()
        drive = Drive(Installation(folder, cloud.port), repo, record, display, receiver, cloud)

        def on_event(event: Event) -> None:
            if event.kind == "stopping":
                stopping.set()
            if not stopping.is_set():
                display.process(event)

        drive.installation.run(drive.run, drive.ready, on_event)
    if isinstance(drive.failure, MetaQoreError):
        logs = f"the logs are in {folder / 'logs'}" if keep else "run it with --keep to have the logs"
        raise Unexpected(f"{drive.failure.message}\n({logs})") from drive.failure
    if drive.failure is not None:
        raise drive.failure
    return drive


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
