"""The last act: the audit log is verified offline, and a forgery of it is recognised."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from metaqore.audit.offline import open_source
from metaqore.audit.verify import Options, verify
from metaqore.cli.demo.record import Record


def verify_log(database: Path, organization: str, record: Record) -> None:
    """Verify the log of a database that nobody writes to any more, then a copy in which a veto was forged."""
    verdicts = verify(open_source(str(database), None), Options())
    own = next((verdict for verdict in verdicts if verdict.organization == organization), None)
    entries = own.entries if own is not None else 0
    findings = [str(finding) for verdict in verdicts for finding in verdict.findings]
    with closing(sqlite3.connect(database)) as connection:
        stored = connection.execute("SELECT count(*) FROM audit_entries").fetchone()[0]
    sealed = own.sealed if own is not None else 0
    record.facts["audit"] = {"entries": entries, "sealed": sealed, "findings": findings}
    seen = f"{entries} of {stored} entries verified; {findings[0] if findings else 'nothing was changed'}"
    record.check("the audit log is intact", entries == stored > 0 and not findings, seen)
    forged = database.with_name("forged.db")
    seq = _forge(database, forged)
    named = [str(finding) for verdict in verify(open_source(str(forged), None), Options())
             for finding in verdict.findings]  # fmt: skip
    record.facts["audit"]["forgery"] = named[:1]
    seen = named[0] if named else f"entry {seq} was forged in a copy, and nothing was found"
    record.check("a forged entry is named", any(f"entry {seq}:" in finding for finding in named), seen)
    forged.unlink()


def _forge(database: Path, copy: Path) -> int:
    """Copy the database and turn a veto of its log into an approval (or change any entry); return which one."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        found: Any = target.execute(
            "SELECT organization, seq, body FROM audit_entries "
            "ORDER BY instr(body, CAST('\"vetoed\"' AS BLOB)) > 0 DESC, seq LIMIT 1"
        ).fetchone()
        organization, seq, body = found
        other = body.replace(b'"vetoed"', b'"approved"') if b'"vetoed"' in body else body.replace(b'"', b"'", 1)
        target.execute(
            "UPDATE audit_entries SET body = ? WHERE organization = ? AND seq = ?", (other, organization, seq)
        )
        target.commit()
    return int(seq)
