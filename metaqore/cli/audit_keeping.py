"""The operator's part of ``metaqore audit``: rotate the signing key, keep a witness elsewhere, seal by hand."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import click

from metaqore.audit.findings import TAMPERED
from metaqore.audit.key_file import load_or_make, rotate
from metaqore.audit.observer import DatabaseLogs, Observed, Refused, ServedLog, Witness, look
from metaqore.audit.offline import read_trust
from metaqore.audit.source import CannotRead
from metaqore.clock import now_ms
from metaqore.messages import Submission
from metaqore.settings import load


@click.command("witness")
@click.option("--db", metavar="DSN", help="The database: all its logs are watched.")
@click.option("--url", help="The API: the log of the key's organization is watched.")
@click.option("--organization", default="default", show_default=True, help="Whose log, with --url.")
@click.option("--key-file", type=click.Path(exists=True, path_type=Path), help="File with an API key, with --url.")
@click.option("--file", "path", type=click.Path(path_type=Path), required=True, help="The witness file to keep.")
@click.option("--trust", multiple=True, required=True, metavar="VKEY", help="A verifier key, or a file of them.")
@click.option("--every", type=click.FloatRange(0.1), default=1.0, show_default=True, help="Seconds between two looks.")
@click.option("--once", is_flag=True, help="Look once and end.")
def witness_command(
    db: str | None, url: str | None, organization: str, key_file: Path | None, path: Path, trust: tuple[str, ...],
    every: float, once: bool,
) -> None:  # fmt: skip
    """Watch a log from outside: remember each checkpoint that provably continues the last, refuse any other.

    Ends with 1 where the log was rolled back, forked or rewritten; the evidence is in FILE.refused.
    """
    if (db is None) == (url is None) or (url is not None and key_file is None):
        raise click.UsageError("give either --db, or --url with --key-file")
    witness = Witness(path, read_trust(trust))
    pause = threading.Event()
    while True:
        try:
            _look_once(db, url, organization, key_file, witness)
        except Refused as error:
            click.echo(f"REFUSED: {error.attack.value}: {error.message}", err=True)
            sys.exit(TAMPERED)
        except CannotRead as error:
            if once:
                raise
            click.echo(f"cannot look now: {error}", err=True)
        if once:
            return
        pause.wait(every)


def _look_once(db: str | None, url: str | None, organization: str, key_file: Path | None, witness: Witness) -> None:
    logs: DatabaseLogs | ServedLog
    if db is not None:
        logs = DatabaseLogs(db)
    else:
        logs = ServedLog(str(url), key_file.read_text().strip() if key_file else "", organization)
    try:
        watched: Observed = logs
        for line in look(watched, witness, now_ms()):
            click.echo(line)
        if db is not None:
            gone = witness.missing([name for name, _ in logs.newest()])
            if gone:
                click.echo(f"REFUSED: truncated: the log {', '.join(gone)} is gone", err=True)
                sys.exit(TAMPERED)
    finally:
        logs.close()


@click.command("rotate-key")
@click.option("--retire", is_flag=True, help="Sign with the new key alone from now on, e.g. where the old one leaked.")
def rotate_key_command(retire: bool) -> None:
    """Add a new signing key; the old one signs beside it until the next rotation, and stays trusted for what it signed.

    Publish the verifier keys that are printed; sealing goes on with them at once, without a restart.
    """
    from metaqore.bootstrap import one_off

    settings = load()
    load_or_make(settings.audit_key_path, settings.audit_log_name)
    keys = rotate(settings.audit_key_path, retire=retire)
    payload = {"key_id": keys.vkeys[-1].key_id.hex(), "retired": retire}
    asked = Submission(organization=settings.organization, project=None, principal=os.environ.get("USER", "operator"),
                       kind="signing_key.rotate", payload=payload)  # fmt: skip
    with one_off(settings) as (_, _, executor):
        executor.run_now(asked)
    for vkey in keys.vkeys:
        click.echo(vkey)


@click.command("seal")
def seal_command() -> None:
    """Seal what is not sealed yet: the system worker does it by itself, this is for when it does not run."""
    from metaqore.bootstrap import seal_now

    click.echo(f"sealed {seal_now(load())} entries")
