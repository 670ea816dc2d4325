"""A real log in a SQLite file, written as the pipeline and the sequencer write it."""

import sqlite3
from pathlib import Path

import pytest

from metaqore.audit.anchors import Trust
from metaqore.audit.checkpoint import Signer, origin_of
from metaqore.audit.entry import make_entry
from metaqore.audit.seal import Frontier, seal
from metaqore.audit.tags import Tag
from metaqore.audit.witness import append_witness

LOG_NAME = "log.example/audit"
KEY = Signer.from_seed(LOG_NAME, b"\x11" * 32)
T0 = 1_760_000_000_000
TAGS = list(Tag)

SCHEMA = """
CREATE TABLE audit_entries (organization TEXT NOT NULL, seq BIGINT NOT NULL, tag TEXT NOT NULL, actor TEXT NOT NULL,
  project TEXT, request_id TEXT, ts_ms BIGINT NOT NULL, body BLOB NOT NULL, leaf_hash BLOB NOT NULL,
  PRIMARY KEY (organization, seq)) WITHOUT ROWID;
CREATE TABLE audit_checkpoints (organization TEXT NOT NULL, size BIGINT NOT NULL, note TEXT NOT NULL,
  PRIMARY KEY (organization, size)) WITHOUT ROWID;
CREATE TABLE audit_tiles (organization TEXT NOT NULL, level INTEGER NOT NULL, tile_index BIGINT NOT NULL,
  hashes BLOB NOT NULL, PRIMARY KEY (organization, level, tile_index)) WITHOUT ROWID;
"""


def row_of(organization, seq, *, ts_ms=None, note="", **changed):
    """The columns of one entry, as the pipeline inserts them."""
    ts_ms = T0 + seq * 10 if ts_ms is None else ts_ms
    fields = {
        "actor": f"prn_{seq % 5}",
        "project": f"prj_{seq % 3}" if seq % 4 else None,
        "request": f"req_{seq}" if seq % 7 else None,
        **changed,
    }
    entry = make_entry(
        organization=organization,
        seq=seq,
        tag=TAGS[seq % len(TAGS)],
        ts_ms=ts_ms,
        subject=f"art_{seq}",
        outcome="approved",
        details={"note": note or 'a "quoted" ü\n', "version": seq},
        **fields,
    )
    return (
        organization, seq, str(entry.tag), fields["actor"], fields["project"], fields["request"], ts_ms,
        entry.body, entry.leaf_hash,
    )  # fmt: skip


class Log:
    """One organization's log in a database of its own."""

    def __init__(self, folder: Path, organization: str = "acme", path: Path | None = None):
        self.organization = organization
        self.path = path or folder / "audit.db"
        self.witness = folder / "witness.jsonl"
        self.connection = sqlite3.connect(self.path, isolation_level=None)
        if not self.connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            self.connection.executescript(SCHEMA)
        self.frontier = Frontier()
        self.size = 0
        self.note = ""

    @property
    def trust(self) -> Trust:
        return Trust((KEY.vkey,))

    def append(self, rows):
        self.connection.execute("BEGIN")
        self.connection.executemany("INSERT INTO audit_entries VALUES (?,?,?,?,?,?,?,?,?)", rows)
        self.connection.execute("COMMIT")
        self.size += len(rows)

    def seal(self, *, signer=KEY, remember=True, ts_ms=None):
        """What the sequencer does: tiles, checkpoint, witness line."""
        organization = self.organization
        fresh = self.connection.execute(
            "SELECT leaf_hash FROM audit_entries WHERE organization = ? AND seq > ? ORDER BY seq",
            (organization, self.frontier.size),
        )
        made = seal(
            self.frontier, [row[0] for row in fresh], origin=origin_of(LOG_NAME, organization), signers=[signer]
        )
        self.frontier, self.note = made.frontier, made.note
        self.connection.execute("BEGIN")
        self.connection.executemany(
            "INSERT OR REPLACE INTO audit_tiles VALUES (?,?,?,?)",
            [(organization, tile.level, tile.index, tile.hashes) for tile in made.tiles],
        )
        self.connection.execute(
            "INSERT OR REPLACE INTO audit_checkpoints VALUES (?,?,?)",
            (organization, made.checkpoint.size, made.note),
        )
        self.connection.execute("COMMIT")
        if remember:
            append_witness(self.witness, made.note, T0 + made.checkpoint.size * 10 if ts_ms is None else ts_ms)
        return made

    def fill(self, count, *, every=64, row=row_of, **sealing):
        """Append and seal entries until there are ``count``."""
        if not self.size:
            self.seal(**sealing)
        while self.size < count:
            upto = min(self.size + every, count)
            self.append([row(self.organization, seq) for seq in range(self.size + 1, upto + 1)])
            self.seal(**sealing)
        return self

    def execute(self, sql, *values):
        return self.connection.execute(sql, values)

    def rows(self):
        return self.execute(
            "SELECT * FROM audit_entries WHERE organization = ? ORDER BY seq", self.organization
        ).fetchall()

    def replace_rows(self, rows):
        """Put other rows in place of all: what someone with write access to the database can do."""
        self.execute("BEGIN")
        self.execute("DELETE FROM audit_entries WHERE organization = ?", self.organization)
        self.connection.executemany("INSERT INTO audit_entries VALUES (?,?,?,?,?,?,?,?,?)", rows)
        self.execute("COMMIT")


@pytest.fixture
def log(tmp_path):
    made = Log(tmp_path)
    yield made
    made.connection.close()
