"""The auditor's commands, without a server: each says what it found and returns its exit code.

0 intact or proven, 1 tampered, 2 cannot tell. ``main`` is the argument parser of the stand-alone file;
``metaqore.cli.audit`` offers the same commands under ``metaqore audit``.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from metaqore.audit.anchors import Standing, Trust, as_kept
from metaqore.audit.block import usable_processes
from metaqore.audit.checkpoint import Checkpoint, VerifierKey
from metaqore.audit.compliance_check import run_check_report
from metaqore.audit.database import open_database
from metaqore.audit.export import ExportSource, export_lines
from metaqore.audit.findings import CANNOT_TELL, INTACT, TAMPERED, Verdict
from metaqore.audit.kept import Contradicted, Kept, check_kept, leaves_of, log_of, opened, proofs_of
from metaqore.audit.merkle import (
    CompactRange,
    consistency_ranges,
    inclusion_ranges,
    leaf_hashes,
    verify_consistency,
)
from metaqore.audit.receipt import BadReceipt, Receipt, check_receipt
from metaqore.audit.source import CannotRead, Source
from metaqore.audit.verify import DEFAULT_TOLERANCE_MS, Options, verify
from metaqore.errors import InvalidInput

#: Takes one line of output.
Say: TypeAlias = Callable[[str], None]


def open_source(db: str | None, export: str | None) -> Source:
    """Return the log named by exactly one of the two.

    Raises:
        CannotRead: both or none were given, or it cannot be read.
    """
    if (db is None) == (export is None):
        raise CannotRead("give the log either with --db DSN or with --export FILE")
    return open_database(db) if db is not None else ExportSource(Path(export or ""))


def read_trust(vkeys: Sequence[str]) -> Trust:
    """Return the trusted keys; each argument is a vkey or a file with one vkey per line.

    Raises:
        InvalidInput: one is no vkey.
    """
    found: list[VerifierKey] = []
    for text in vkeys:
        path = Path(text)
        if "+" not in text and path.is_file():
            found += [VerifierKey.parse(line) for line in path.read_text().splitlines() if line.strip()]
        else:
            found.append(VerifierKey.parse(text))
    return Trust(tuple(found))


def run_verify(source: Source, options: Options, say: Say, progress: Callable[[int], None]) -> int:
    """Verify every log of a source."""
    if options.witness is not None and not options.witness.is_file():
        raise CannotRead(f"{options.witness}: there is no such witness file")
    verdicts = verify(source, options, progress)
    if not verdicts:
        say(f"CANNOT TELL: {source.name} holds no audit entries")
        return CANNOT_TELL
    for verdict in verdicts:
        for line in describe(verdict):
            say(line)
    codes = {verdict.exit_code for verdict in verdicts}
    return TAMPERED if TAMPERED in codes else max(codes)


def describe(verdict: Verdict) -> Iterator[str]:
    """Yield what a verdict says: one line, and one for each finding, doubt and note."""
    word = {INTACT: "INTACT", TAMPERED: "TAMPERED", CANNOT_TELL: "CANNOT TELL"}[verdict.exit_code]
    signed = f"{verdict.sealed} covered by a trusted signature"
    yield f"{verdict.organization}: {word}: {verdict.entries} entries, {signed}"
    yield from (f"  {finding}" for finding in verdict.findings)
    yield from (f"  cannot tell: {doubt}" for doubt in verdict.doubts)
    yield from (f"  note: {note}" for note in verdict.notes)


def run_prove(source: Source, organization: str | None, seq: int, trust: Trust, text: bool, say: Say) -> int:
    """Print a receipt for an entry against the newest checkpoint that covers it."""
    name = _organization(source, organization)
    best: tuple[Checkpoint, str] | None = None
    for stored in source.checkpoints(name):
        checkpoint, standing, _ = trust.weigh(stored.note, name)
        if checkpoint is not None and standing in (Standing.SIGNED, Standing.UNCHECKED) and checkpoint.size >= seq:
            best = (checkpoint, stored.note)
    row = source.row(name, seq)
    if row is None or type(row.body) is not bytes:
        raise CannotRead(f"{name} has no entry {seq}")
    if best is None:
        raise CannotRead(f"no checkpoint of {name} covers entry {seq} yet: it is sealed a moment after it is written")
    checkpoint, note = best
    [leaf] = leaf_hashes([row.body])
    for proof in proofs_of(source, name, inclusion_ranges(seq - 1, checkpoint.size), checkpoint.size):
        receipt = Receipt(seq, leaf, tuple(proof), note)
        try:
            check_receipt(receipt, trust.keys or None)
        except BadReceipt:
            continue
        say(receipt.to_tlog_proof().rstrip("\n") if text else receipt.to_json())
        return INTACT
    say(f"TAMPERED: entry {seq} of {name} does not lead to the signed root: run 'verify' for what was done")
    return TAMPERED


def run_check_receipt(
    text: str, trust: Trust, entry: bytes | None, source: Source | None, say: Say, headers: str | None = None
) -> int:
    """Check a receipt; or a result or webhook that was kept, which takes the log. Without trusted keys it cannot tell.

    Args:
        headers: those of the webhook, see ``Kept.parse``.
    """
    kept = Kept.parse(text, headers)
    if kept is not None:
        return _check_kept(kept, trust, source, say)
    try:
        receipt = Receipt.parse(text)
    except BadReceipt as error:
        # Nothing is said about the log.
        say(f"CANNOT TELL: {error.message}, or a result or webhook that was kept")
        return CANNOT_TELL
    try:
        checkpoint = check_receipt(receipt, trust.keys or None, body=entry)
    except InvalidInput as error:
        say(f"NOT PROVEN: {error.message}")
        return TAMPERED
    say(f"entry {receipt.seq} is in the log {checkpoint.origin} of {checkpoint.size} entries")
    return _if_trusted(trust, say)


def _check_kept(kept: Kept, trust: Trust, source: Source | None, say: Say) -> int:
    try:
        checkpoint = opened(kept.checkpoint, trust)
        if source is None:
            raise CannotRead(f"it has no proof of its own: give the log {checkpoint.origin} with --db or --export")
        check_kept(kept, checkpoint, source)
    except InvalidInput as error:
        say(f"NOT PROVEN: {error.message}")
        return TAMPERED
    except Contradicted as error:
        say(f"TAMPERED: {error}")
        return TAMPERED
    for seq, _ in kept.entries:
        say(f"entry {seq} is in the log {checkpoint.origin} as it was shown, under {checkpoint.size} signed entries")
    return _if_trusted(trust, say)


def _if_trusted(trust: Trust, say: Say) -> int:
    if trust.keys:
        return INTACT
    say("CANNOT TELL: no signature was checked: give the log's verifier key with --trust")
    return CANNOT_TELL


def run_consistency(old_note: str, new_note: str, source: Source | None, trust: Trust, say: Say) -> int:
    """Tell whether the log of the newer checkpoint begins with that of the older one."""
    both = (opened(as_kept(note), trust) for note in (old_note, new_note))
    old, new = sorted(both, key=lambda found: found.size)
    if old.origin != new.origin:
        say(f"CANNOT TELL: the checkpoints are of two logs, {old.origin} and {new.origin}")
        return CANNOT_TELL
    code = CANNOT_TELL
    if old.size == new.size:
        code = INTACT if old.root == new.root else TAMPERED
    elif source is None:
        say("CANNOT TELL: their sizes differ, so the log itself is needed: give --db or --export")
        return CANNOT_TELL
    else:
        code = _compare(source, old, new)
    if code == TAMPERED:
        say(f"TAMPERED: forked: the checkpoints of {old.size} and {new.size} entries are of two histories")
    elif code == CANNOT_TELL:
        say(f"CANNOT TELL: {source.name if source else 'the log'} does not have the root signed for {new.size} entries")
    elif not trust.keys:
        say("consistent, but CANNOT TELL: no signature was checked: give the log's verifier key with --trust")
        return CANNOT_TELL
    else:
        say(f"consistent: the {new.size} entries begin with the {old.size}")
    return code


def run_export(source: Source, organization: str | None, out: Path, say: Say) -> int:
    """Write the export of one organization's log to a new file; it appears whole or not at all."""
    name = _organization(source, organization)
    part = out.with_name(out.name + ".part")
    with part.open("wb") as file:
        for line in export_lines(source, name):
            file.write(line)
        file.flush()
        os.fsync(file.fileno())
    part.replace(out)
    say(f"{name}: exported to {out}")
    return INTACT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the entry point of the stand-alone file."""
    given = _parser().parse_args(arguments)
    try:
        return _dispatch(given)
    except Exception as error:
        return cannot_tell(error)


def cannot_tell(error: Exception) -> int:
    """Say why there is no answer. A fault of the verifier must not pass for tampering, as its exit code 1 would."""
    sys.stderr.write(f"CANNOT TELL: {error}\n")
    if not isinstance(error, (CannotRead, InvalidInput, OSError)):
        traceback.print_exception(error)
    return CANNOT_TELL


def _dispatch(given: argparse.Namespace) -> int:
    def say(line: str) -> None:
        if sys.stderr.isatty():
            # Nothing is left of the progress bar.
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
        sys.stdout.write(line + "\n")

    trust = read_trust(given.trust)
    log_given = given.db is not None or given.export is not None
    alone = not log_given and given.command in ("consistency", "check-report", "check-receipt")
    # The witness is looked at before the log: what is sealed meanwhile is in the log then.
    options = _options(given, trust) if given.command == "verify" else None
    source = None if alone else open_source(given.db, given.export)
    if given.command == "check-receipt":
        entry = Path(given.entry).read_bytes() if given.entry else None
        headers = Path(given.headers).read_text() if given.headers else None
        return run_check_receipt(Path(given.receipt).read_text(), trust, entry, source, say, headers)
    if given.command == "check-report":
        return run_check_report(Path(given.report).read_text("utf-8"), trust, source, say)
    if given.command == "consistency":
        return run_consistency(Path(given.old).read_text(), Path(given.new).read_text(), source, trust, say)
    assert source is not None
    if given.command == "prove":
        return run_prove(source, given.organization, given.seq, trust, given.text, say)
    assert options is not None
    total = sum(source.last_seq(name) for name in source.organizations())
    return run_verify(source, options, say, _Bar(total) if sys.stderr.isatty() else lambda _: None)


def _options(given: argparse.Namespace, trust: Trust) -> Options:
    return Options(
        trust=trust,
        witness=Path(given.witness) if given.witness else None,
        since=Path(given.since).read_text() if given.since else None,
        tolerance_ms=given.tolerance * 1000,
        processes=usable_processes(),
        reconcile=not given.log_only,
    )


class _Bar:
    """A progress bar on a terminal."""

    def __init__(self, total: int) -> None:
        self._total = max(total, 1)
        self._done = 0

    def __call__(self, more: int) -> None:
        self._done += more
        share = min(1.0, self._done / self._total)
        line = f"[{'#' * int(40 * share):40}] {share:4.0%}  {self._done:,} of {self._total:,} entries"
        sys.stderr.write(f"\r{line}")
        sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Check a MetaQore audit log offline. Exit: 0 intact, 1 tampered, 2 cannot tell."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    log = argparse.ArgumentParser(add_help=False)
    log.add_argument("--db", metavar="DSN", help="SQLite path, sqlite:///path or postgresql://…")
    log.add_argument("--export", metavar="FILE", help="an export made by 'metaqore audit export'")
    trusting = argparse.ArgumentParser(add_help=False)
    trusting.add_argument(
        "--trust", metavar="VKEY", action="append", default=[], help="a verifier key, or a file of them"
    )
    check = commands.add_parser("verify", parents=[log, trusting], help="verify every entry and checkpoint")
    check.add_argument("--witness", metavar="FILE", help="a witness file kept outside the database")
    check.add_argument("--since", metavar="CHECKPOINT", help="a file with a checkpoint kept from an earlier time")
    check.add_argument("--tolerance", metavar="SECONDS", type=int, default=DEFAULT_TOLERANCE_MS // 1000)
    check.add_argument("--log-only", action="store_true", help="do not hold the log against what was done")
    prove = commands.add_parser("prove", parents=[log, trusting], help="print a receipt for one entry")
    prove.add_argument("--seq", type=int, required=True)
    prove.add_argument("--organization")
    prove.add_argument("--text", action="store_true", help="as C2SP tlog-proof")
    receipt = commands.add_parser(
        "check-receipt", parents=[log, trusting], help="check a receipt; with the log, a result or webhook"
    )
    receipt.add_argument("receipt", metavar="FILE")
    receipt.add_argument("--entry", metavar="FILE", help="the bytes of the entry, to be compared")
    receipt.add_argument("--headers", metavar="FILE", help="the headers that came with a webhook's body")
    report = commands.add_parser("check-report", parents=[log, trusting], help="check a report on controls")
    report.add_argument("report", metavar="FILE", help="its JSON form")
    both = commands.add_parser(
        "consistency", parents=[log, trusting], help="check that one checkpoint continues another"
    )
    both.add_argument("old", metavar="OLD")
    both.add_argument("new", metavar="NEW")
    return parser


def _organization(source: Source, organization: str | None) -> str:
    names = source.organizations()
    if organization is not None:
        if organization not in names:
            raise CannotRead(f"{source.name} has no log of {organization}; it has {', '.join(names) or 'none'}")
        return organization
    if len(names) != 1:
        raise CannotRead(f"{source.name} has the logs {', '.join(names) or 'of none'}: choose with --organization")
    return names[0]


def _compare(source: Source, old: Checkpoint, new: Checkpoint) -> int:
    name = log_of(source, new)
    if name is None:
        return CANNOT_TELL
    for proof in proofs_of(source, name, consistency_ranges(old.size, new.size), new.size):
        if verify_consistency(old.size, new.size, proof, old.root, new.root):
            return INTACT
    tree = CompactRange()
    tree.extend(leaves_of(source, name, new.size))
    return TAMPERED if tree.size == new.size and tree.root() == new.root else CANNOT_TELL
