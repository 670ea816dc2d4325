"""A real log in a SQLite file or a PostgreSQL database, written as the pipeline and the sequencer write it."""

from contextlib import contextmanager
from pathlib import Path

import psycopg

from metaqore.audit.anchors import Trust
from metaqore.audit.checkpoint import Signer, origin_of
from metaqore.audit.database import DatabaseSource, PostgresSource, SqliteSource, sqlite3
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
        self.connect()
        self.frontier = Frontier()
        self.size = 0
        self.note = ""

    def connect(self):
        self.connection = sqlite3.connect(self.path, isolation_level=None)
        if not self.connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            self.connection.executescript(SCHEMA)

    @property
    def trust(self) -> Trust:
        return Trust((KEY.vkey,))

    def append(self, rows):
        with self.together():
            self.execute_many("INSERT INTO audit_entries VALUES (?,?,?,?,?,?,?,?,?)", rows)
        self.size += len(rows)

    def seal(self, *, signer=KEY, remember=True, ts_ms=None):
        """What the sequencer does: tiles, checkpoint, witness line."""
        organization = self.organization
        fresh = self.execute(
            "SELECT leaf_hash FROM audit_entries WHERE organization = ? AND seq > ? ORDER BY seq",
            organization,
            self.frontier.size,
        )
        made = seal(
            self.frontier, [row[0] for row in fresh], origin=origin_of(LOG_NAME, organization), signers=[signer]
        )
        self.frontier, self.note = made.frontier, made.note
        with self.together():
            self.save(made)
        if remember:
            append_witness(self.witness, made.note, T0 + made.checkpoint.size * 10 if ts_ms is None else ts_ms)
        return made

    def save(self, made):
        """Store the tiles and the checkpoint of one sealing."""
        size = made.checkpoint.size
        tiles = [(self.organization, tile.level, tile.index, tile.hashes) for tile in made.tiles]
        where = "WHERE organization = ? AND level = ? AND tile_index = ?"
        self.execute_many(f"DELETE FROM audit_tiles {where}", [tile[:3] for tile in tiles])
        self.execute_many("INSERT INTO audit_tiles VALUES (?,?,?,?)", tiles)
        self.execute("DELETE FROM audit_checkpoints WHERE organization = ? AND size = ?", self.organization, size)
        self.execute("INSERT INTO audit_checkpoints VALUES (?,?,?)", self.organization, size, made.note)

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

    def execute_many(self, sql, rows):
        self.connection.executemany(sql, rows)

    def rows(self):
        return self.execute(
            "SELECT * FROM audit_entries WHERE organization = ? ORDER BY seq", self.organization
        ).fetchall()

    def replace_rows(self, rows):
        """Put other rows in place of all: what someone with write access to the database can do."""
        with self.together():
            self.execute("DELETE FROM audit_entries WHERE organization = ?", self.organization)
            self.execute_many("INSERT INTO audit_entries VALUES (?,?,?,?,?,?,?,?,?)", rows)

    @contextmanager
    def together(self):
        """One transaction, or a part of the one that is open."""
        self.execute("SAVEPOINT together")
        yield
        self.execute("RELEASE together")

    @contextmanager
    def undone(self):
        """Whatever is done within is taken back."""
        self.execute("BEGIN")
        try:
            yield
        finally:
            self.execute("ROLLBACK")

    @contextmanager
    def seen(self):
        """Give the verifier's reader of the database as it is now, within the open transaction."""
        source = SqliteSource.__new__(SqliteSource)
        DatabaseSource.__init__(source, "within")
        source._connection = self.connection
        self.connection.text_factory = bytes
        yield source
        self.connection.text_factory = str


class PostgresLog(Log):
    """The same in a PostgreSQL database."""

    #: What is taken back leaves dead rows that every later reader passes: without vacuum, a thousand attacks take
    #: thirty times as long.
    CASES_BEFORE_VACUUM = 16

    def __init__(self, dsn: str, folder: Path):
        self.dsn = dsn
        self.cases = 0
        super().__init__(folder)

    def connect(self):
        self.connection = psycopg.connect(self.dsn, autocommit=True)
        if self.execute("SELECT to_regclass('audit_entries')").fetchone() == (None,):
            self.execute(SCHEMA.replace("BLOB", "BYTEA").replace(" WITHOUT ROWID", ""))

    def execute(self, sql, *values):
        return self.connection.execute(sql.replace("?", "%s"), values or None)

    def execute_many(self, sql, rows):
        self.connection.cursor().executemany(sql.replace("?", "%s"), rows)

    @contextmanager
    def together(self):
        with self.connection.transaction():
            yield

    @contextmanager
    def undone(self):
        with super().undone():
            yield
        self.cases += 1
        if self.cases % self.CASES_BEFORE_VACUUM == 0:
            self.execute("VACUUM audit_entries, audit_checkpoints, audit_tiles")

    @contextmanager
    def seen(self):
        source = PostgresSource.__new__(PostgresSource)
        DatabaseSource.__init__(source, "within")
        source._connection, source._error, source._cursors = self.connection, psycopg.Error, 0
        yield source
