"""Twelve classes of tampering at the first, a middle, the last and random positions: each must be named.

``AUDIT_POSITIONS`` sets how many random positions each attack is tried at.
"""

import importlib.util
import json
import os
import random
import shutil
from pathlib import Path

import pytest

from metaqore.audit.checkpoint import Signer, origin_of
from metaqore.audit.database import SqliteSource
from metaqore.audit.entry import leaf_hash
from metaqore.audit.export import ExportSource, export_lines
from metaqore.audit.findings import Attack
from metaqore.audit.seal import Frontier, seal
from metaqore.audit.verify import Options, verify

_spec = importlib.util.spec_from_file_location("audit_conftest", Path(__file__).with_name("conftest.py"))
setup = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(setup)

ENTRIES = 150
EVERY = 32
POSITIONS = int(os.environ.get("AUDIT_POSITIONS", "5"))
# The long form takes as long as it takes.
pytestmark = [pytest.mark.timeout(0)] if POSITIONS > 20 else []
THIEF = Signer.from_seed(setup.LOG_NAME, b"\x66" * 32)
SEQ, BODY, LEAF = 1, 7, 8


class Case:
    """A copy of the clean log to be attacked at ``at``; ``expected`` findings are (attack, first seq)."""

    def __init__(self, folder, clean, at, rng):
        folder.mkdir()
        for name in ("audit.db", "witness.jsonl"):
            shutil.copy(clean / name, folder / name)
        self.folder, self.at, self.rng = folder, at, rng
        self.log = setup.Log(folder)
        self.log.connection.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF")
        self.rows = self.log.rows()
        self.since = None
        self.witness = self.log.witness

    def other(self):
        """A position that is not ``at``."""
        return self.rng.choice([seq for seq in range(1, ENTRIES + 1) if seq != self.at])

    def changed(self, seq, **fields):
        """The row with other bytes and the hash that belongs to them."""
        row = list(self.rows[seq - 1])
        value = {**json.loads(row[BODY]), **fields}
        value["about"] = {**value["about"], "outcome": "vetoed"}
        row[BODY] = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
        row[LEAF] = leaf_hash(row[BODY])
        return tuple(row)

    def renumber(self, rows):
        self.log.replace_rows([(row[0], seq, *row[2:]) for seq, row in enumerate(rows, start=1)])

    def rebuild(self, rows, signer):
        """Make tiles and checkpoints anew, at the sizes at which they were."""
        sizes = [size for (size,) in self.log.execute("SELECT size FROM audit_checkpoints ORDER BY size")]
        self.log.execute("DELETE FROM audit_checkpoints")
        self.log.execute("DELETE FROM audit_tiles")
        self.log.replace_rows(rows)
        frontier, at = Frontier(), 0
        for size in sizes:
            made = seal(
                frontier,
                [row[LEAF] for row in rows[at:size]],
                origin=origin_of(setup.LOG_NAME, "acme"),
                signers=[signer],
            )
            frontier, at = made.frontier, size
            self.log.execute("INSERT INTO audit_checkpoints VALUES ('acme', ?, ?)", size, made.note)
            for tile in made.tiles:
                self.log.execute(
                    "INSERT OR REPLACE INTO audit_tiles VALUES ('acme', ?, ?, ?)", tile.level, tile.index, tile.hashes
                )
        return made.note


def edit_bytes(case):
    row = case.changed(case.at)
    case.log.execute("UPDATE audit_entries SET body = ? WHERE seq = ?", row[BODY], case.at)
    return Attack.EDITED, case.at


def edit_one_bit(case):
    body = bytearray(case.rows[case.at - 1][BODY])
    body[case.rng.randrange(len(body))] ^= 1 << case.rng.randrange(8)
    case.log.execute("UPDATE audit_entries SET body = ? WHERE seq = ?", bytes(body), case.at)
    return Attack.EDITED, case.at


def edit_bytes_and_hash(case):
    row = case.changed(case.at)
    case.log.execute("UPDATE audit_entries SET body = ?, leaf_hash = ? WHERE seq = ?", *row[BODY:], case.at)
    return Attack.EDITED, case.at


def edit_bytes_hash_and_column(case):
    row = case.changed(case.at, actor="prn_innocent")
    case.log.execute(
        "UPDATE audit_entries SET body = ?, leaf_hash = ?, actor = 'prn_innocent' WHERE seq = ?", *row[BODY:], case.at
    )
    return Attack.EDITED, case.at


def edit_column(column, value):
    def attack(case):
        [(now,)] = case.log.execute(f"SELECT {column} FROM audit_entries WHERE seq = ?", case.at)
        other = f"{value}x" if now == value else value
        case.log.execute(f"UPDATE audit_entries SET {column} = ? WHERE seq = ?", other, case.at)
        return Attack.COLUMN_EDITED, case.at

    attack.__name__ = f"edit_column_{column}_to_{value!s:.10}"
    return attack


def edit_seq_column(case):
    case.log.execute("UPDATE audit_entries SET seq = ? WHERE seq = ?", ENTRIES + 7, case.at)
    return Attack.COLUMN_EDITED, case.at


def edit_organization_column(case):
    case.log.execute("UPDATE audit_entries SET organization = 'globex' WHERE seq = ?", case.at)
    return Attack.COLUMN_EDITED, case.at


def delete(case):
    case.log.execute("DELETE FROM audit_entries WHERE seq = ?", case.at)
    return (Attack.TRUNCATED if case.at == ENTRIES else Attack.DELETED), case.at


def delete_and_close_the_gap(case):
    case.renumber(case.rows[: case.at - 1] + case.rows[case.at :])
    return (Attack.TRUNCATED if case.at == ENTRIES else Attack.DELETED), case.at


def insert(case):
    made = setup.row_of("acme", case.at, note="never happened")
    case.renumber([*case.rows[: case.at - 1], made, *case.rows[case.at - 1 :]])
    return Attack.INSERTED, case.at


def duplicate(case):
    case.renumber([*case.rows[: case.at], case.rows[case.at - 1], *case.rows[case.at :]])
    return Attack.DUPLICATED, case.at


def duplicate_later(case):
    target = case.rng.randint(case.at + 1, ENTRIES + 1)
    case.renumber([*case.rows[: target - 1], case.rows[case.at - 1], *case.rows[target - 1 :]])
    return Attack.DUPLICATED, (case.at if target == case.at + 1 else target)


def swap(case):
    first, second = sorted((case.at, case.other()))
    rows = list(case.rows)
    rows[first - 1], rows[second - 1] = rows[second - 1], rows[first - 1]
    case.renumber(rows)
    return Attack.SWAPPED, first


def swap_bytes_and_hashes(case):
    first, second = sorted((case.at, case.other()))
    for seq, row in ((first, case.rows[second - 1]), (second, case.rows[first - 1])):
        case.log.execute("UPDATE audit_entries SET body = ?, leaf_hash = ? WHERE seq = ?", row[BODY], row[LEAF], seq)
    return Attack.SWAPPED, first


def swap_bytes(case):
    first, second = sorted((case.at, case.other()))
    for seq, row in ((first, case.rows[second - 1]), (second, case.rows[first - 1])):
        case.log.execute("UPDATE audit_entries SET body = ? WHERE seq = ?", row[BODY], seq)
    return Attack.SWAPPED, first


def truncate(case):
    case.log.execute("DELETE FROM audit_entries WHERE seq >= ?", case.at)
    return Attack.TRUNCATED, case.at


def rewrite_without_key(case):
    case.rebuild([*case.rows[: case.at - 1], case.changed(case.at), *case.rows[case.at :]], THIEF)
    case.witness = None
    return Attack.REWRITTEN_WITHOUT_KEY, 1


def rewrite_without_key_keeping_the_signatures(case):
    notes = case.log.execute("SELECT size, note FROM audit_checkpoints").fetchall()
    case.rebuild([*case.rows[: case.at - 1], case.changed(case.at), *case.rows[case.at :]], THIEF)
    for size, note in notes:
        case.log.execute("UPDATE audit_checkpoints SET note = ? WHERE size = ?", note, size)
    return Attack.REWRITTEN_WITHOUT_KEY, (case.at - 1) // EVERY * EVERY + 1


def rewrite_without_key_moving_the_signatures(case):
    """The new root under the old signature line."""
    notes = dict(case.log.execute("SELECT size, note FROM audit_checkpoints").fetchall())
    case.rebuild([*case.rows[: case.at - 1], case.changed(case.at), *case.rows[case.at :]], THIEF)
    for size, note in case.log.execute("SELECT size, note FROM audit_checkpoints").fetchall():
        text, _, _ = note.partition("\n\n")
        forged = text + "\n\n" + notes[size].partition("\n\n")[2]
        case.log.execute("UPDATE audit_checkpoints SET note = ? WHERE size = ?", forged, size)
    case.witness = None
    return Attack.REWRITTEN_WITHOUT_KEY, (case.at - 1) // EVERY * EVERY + 1


def rewrite_with_key(case):
    case.rebuild([*case.rows[: case.at - 1], case.changed(case.at), *case.rows[case.at :]], setup.KEY)
    return Attack.REWRITTEN_WITH_KEY, (case.at - 1) // EVERY * EVERY + 1


def fork(case):
    """The auditor was once shown another history, signed with the same key."""
    case.since = case.rebuild([*case.rows[: case.at - 1], case.changed(case.at), *case.rows[case.at :]], setup.KEY)
    case.rebuild(case.rows, setup.KEY)
    return Attack.FORKED, 1


def roll_back(case):
    case.log.execute("DELETE FROM audit_entries WHERE seq >= ?", case.at)
    case.log.execute("DELETE FROM audit_checkpoints WHERE size >= ?", case.at)
    return Attack.ROLLED_BACK, case.at


def roll_back_unseen_by_a_witness(case):
    """No witness file, but the auditor kept the last checkpoint."""
    case.since = case.log.execute("SELECT note FROM audit_checkpoints ORDER BY size DESC").fetchone()[0]
    case.witness = None
    return roll_back(case)


def roll_back_a_checkpoint(case):
    sizes = [size for (size,) in case.log.execute("SELECT size FROM audit_checkpoints ORDER BY size")]
    which = case.rng.randrange(1, len(sizes))
    case.log.execute(
        "UPDATE audit_checkpoints SET note = (SELECT note FROM audit_checkpoints WHERE size = ?) WHERE size = ?",
        sizes[which - 1],
        sizes[which],
    )
    return Attack.ROLLED_BACK, sizes[which]


def replay_from_another_organization(case):
    sizes = [size for (size,) in case.log.execute("SELECT size FROM audit_checkpoints ORDER BY size")]
    size = case.rng.choice(sizes[1:])
    made = seal(
        Frontier(),
        [row[LEAF] for row in case.rows[:size]],
        origin=origin_of(setup.LOG_NAME, "globex"),
        signers=[setup.KEY],
    )
    case.log.execute("UPDATE audit_checkpoints SET note = ? WHERE size = ?", made.note, size)
    return Attack.REPLAYED, size


def backdate(case):
    rows = list(case.rows)
    rows[case.at - 1] = setup.row_of("acme", case.at, ts_ms=setup.T0 - 86_400_000)
    case.rebuild(rows, setup.KEY)
    # The witness saw the honest sizes and times of this history.
    case.witness = case.folder / "rebuilt.jsonl"
    for size, note in case.log.execute("SELECT size, note FROM audit_checkpoints ORDER BY size").fetchall():
        setup.append_witness(case.witness, note, setup.T0 + size * 10)
    return Attack.BACKDATED, case.at


ATTACKS = [
    edit_bytes,
    edit_one_bit,
    edit_bytes_and_hash,
    edit_bytes_hash_and_column,
    edit_column("tag", "psmp:artifact:deleted"),
    edit_column("actor", "prn_innocent"),
    edit_column("actor", b"\xff\xfe"),
    edit_column("actor", 5),
    edit_column("project", 'prj","request":"'),
    edit_column("request_id", "req_x"),
    edit_column("ts_ms", 5),
    edit_column("ts_ms", "yesterday"),
    edit_column("leaf_hash", b"\x00" * 32),
    edit_column("leaf_hash", "text"),
    edit_column("seq", -3),
    edit_column("seq", "seven"),
    edit_column("seq", 2.5),
    edit_seq_column,
    edit_organization_column,
    delete,
    delete_and_close_the_gap,
    insert,
    duplicate,
    duplicate_later,
    swap,
    swap_bytes_and_hashes,
    swap_bytes,
    truncate,
    rewrite_without_key,
    rewrite_without_key_keeping_the_signatures,
    rewrite_without_key_moving_the_signatures,
    rewrite_with_key,
    fork,
    roll_back,
    roll_back_unseen_by_a_witness,
    roll_back_a_checkpoint,
    replay_from_another_organization,
    backdate,
]
# An export has no columns but the hash, and no tiles that would still tell which of the entries was changed.
UNSEEN_IN_AN_EXPORT = {attack.__name__ for attack in ATTACKS if attack.__name__.startswith("edit_column")} | {
    "edit_seq_column",
    "edit_organization_column",
    "swap_bytes_and_hashes",
}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clean")
    log = setup.Log(folder).fill(ENTRIES, every=EVERY)
    log.connection.close()
    return folder


def positions(attack):
    rng = random.Random(f"{attack.__name__}")
    return [1, ENTRIES // 2, ENTRIES, *(rng.randint(1, ENTRIES) for _ in range(POSITIONS))]


def named(verdicts):
    return [(finding.attack, finding.seq) for verdict in verdicts for finding in verdict.findings]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_an_attack_on_the_database_is_named_with_its_first_entry(attack, clean, tmp_path):
    for number, at in enumerate(positions(attack)):
        case = Case(tmp_path / str(number), clean, at, random.Random(f"{attack.__name__} {number}"))
        expected = attack(case)

        source = SqliteSource(case.log.path)
        verdicts = verify(source, Options(trust=case.log.trust, witness=case.witness, since=case.since))

        assert expected in named(verdicts), (at, verdicts)
        assert max(verdict.exit_code for verdict in verdicts) == 1 or len(verdicts) > 1
        assert 1 in {verdict.exit_code for verdict in verdicts}
        source.close()
        case.log.connection.close()
        shutil.rmtree(case.folder)


@pytest.mark.parametrize(
    "attack",
    [attack for attack in ATTACKS if attack.__name__ not in UNSEEN_IN_AN_EXPORT],
    ids=lambda attack: attack.__name__,
)
def test_an_attack_on_an_export_is_named_with_its_first_entry(attack, clean, tmp_path):
    for number, at in enumerate(positions(attack)):
        case = Case(tmp_path / str(number), clean, at, random.Random(f"{attack.__name__} {number}"))
        expected = attack(case)
        if attack in (edit_bytes_and_hash, edit_bytes_hash_and_column):
            expected = (Attack.REWRITTEN_WITHOUT_KEY, (at - 1) // EVERY * EVERY + 1)
        if attack is duplicate_later:
            expected = (Attack.DUPLICATED, at)
        if attack is swap_bytes:
            expected = (Attack.EDITED, expected[1])
        if any(b"\n" in row[BODY] for row in case.log.rows()):
            continue
        source = SqliteSource(case.log.path)
        path = case.folder / "export.jsonl"
        path.write_bytes(b"".join(export_lines(source, "acme")))

        verdicts = verify(ExportSource(path), Options(trust=case.log.trust, witness=case.witness, since=case.since))

        assert expected in named(verdicts), (at, verdicts)
        assert [verdict.exit_code for verdict in verdicts] == [1]
        source.close()
        case.log.connection.close()
        shutil.rmtree(case.folder)


VALUES = [None, 0, -1, 5, 2.5, float("inf"), "", "x", "x" * 5000, b"", b"\xff\x00", b"{}", b"[" * 3000, 2**62, 'a"b\\']


def test_any_cell_set_to_any_value_is_tampering(clean, tmp_path):
    """Whatever type SQLite lets in: no crash, no answer but tampered."""
    columns = ["organization", "seq", "tag", "actor", "project", "request_id", "ts_ms", "body", "leaf_hash"]
    rng = random.Random(11)
    for number in range(12 * POSITIONS):
        case = Case(tmp_path / str(number), clean, rng.randint(1, ENTRIES), rng)
        # Without the constraints that would refuse some of the values.
        case.log.connection.executescript(
            "CREATE TABLE t AS SELECT * FROM audit_entries; DROP TABLE audit_entries;"
            "ALTER TABLE t RENAME TO audit_entries"
        )
        column, value = rng.choice(columns), rng.choice(VALUES)
        before = case.rows[case.at - 1][columns.index(column)]
        case.log.execute(f"UPDATE audit_entries SET {column} = ? WHERE seq = ?", value, case.at)
        source = SqliteSource(case.log.path)

        verdicts = verify(source, Options(trust=case.log.trust, witness=case.witness))

        tampered = type(before) is not type(value) or before != value
        assert tampered == (1 in {verdict.exit_code for verdict in verdicts}), (case.at, column, value, verdicts)
        source.close()
        case.log.connection.close()
        shutil.rmtree(case.folder)
