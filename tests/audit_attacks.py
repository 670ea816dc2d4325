"""Attacks on a log by whoever has the database, the signing key or the auditor's ear, and what is to be found of each.

An attack returns the class and the number of the first entry that a verification must name.
"""

import json
import random

from metaqore.audit.checkpoint import Signer, origin_of
from metaqore.audit.entry import leaf_hash
from metaqore.audit.findings import Attack
from metaqore.audit.seal import Frontier, seal
from metaqore.audit.verify import Options, verify
from tests.audit_log import KEY, LOG_NAME, T0, append_witness, row_of

#: The log that is attacked: so many entries, sealed so many at a time.
ENTRIES = 150
EVERY = 32
THIEF = Signer.from_seed(LOG_NAME, b"\x66" * 32)
SEQ, BODY, LEAF = 1, 7, 8


class Case:
    """The clean log, to be attacked at ``at`` in a transaction that is undone."""

    def __init__(self, log, rows, folder, at, rng):
        self.log, self.rows, self.folder, self.at, self.rng = log, rows, folder, at, rng
        self.since = None
        self.witness = log.witness

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
                origin=origin_of(LOG_NAME, "acme"),
                signers=[signer],
            )
            frontier, at = made.frontier, size
            self.log.save(made)
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
    made = row_of("acme", case.at, note="never happened")
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
    case.rebuild([*case.rows[: case.at - 1], case.changed(case.at), *case.rows[case.at :]], KEY)
    return Attack.REWRITTEN_WITH_KEY, (case.at - 1) // EVERY * EVERY + 1


def fork(case):
    """The auditor was once shown another history, signed with the same key."""
    case.since = case.rebuild([*case.rows[: case.at - 1], case.changed(case.at), *case.rows[case.at :]], KEY)
    case.rebuild(case.rows, KEY)
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
        origin=origin_of(LOG_NAME, "globex"),
        signers=[KEY],
    )
    case.log.execute("UPDATE audit_checkpoints SET note = ? WHERE size = ?", made.note, size)
    return Attack.REPLAYED, size


def backdate(case):
    rows = list(case.rows)
    rows[case.at - 1] = row_of("acme", case.at, ts_ms=T0 - 86_400_000)
    case.rebuild(rows, KEY)
    # The witness saw the honest sizes and times of this history.
    case.witness = case.folder / "rebuilt.jsonl"
    case.witness.unlink(missing_ok=True)
    for size, note in case.log.execute("SELECT size, note FROM audit_checkpoints ORDER BY size").fetchall():
        append_witness(case.witness, note, T0 + size * 10)
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
#: What the types of PostgreSQL's columns refuse.
REFUSED_BY_POSTGRES = frozenset(
    {
        "edit_column_actor_to_5",
        "edit_column_ts_ms_to_yesterday",
        "edit_column_leaf_hash_to_text",
        "edit_column_seq_to_seven",
        "edit_column_seq_to_2.5",
    }
)


def positions(attack, count):
    """Return the first, a middle, the last and ``count`` random numbers of entries."""
    rng = random.Random(f"{attack.__name__}")
    return [1, ENTRIES // 2, ENTRIES, *(rng.randint(1, ENTRIES) for _ in range(count))]


def named(verdicts):
    """Return what a verification found, as an attack says what is to be found."""
    return [(finding.attack, finding.seq) for verdict in verdicts for finding in verdict.findings]


def check_on_a_database(attack, log, folder, count):
    """Attack a log at each position: it is tampered with, and the attack is named."""
    rows = log.rows()
    for number, at in enumerate(positions(attack, count)):
        with log.undone():
            case = Case(log, rows, folder, at, random.Random(f"{attack.__name__} {number}"))
            expected = attack(case)
            with log.seen() as source:
                verdicts = verify(source, Options(trust=log.trust, witness=case.witness, since=case.since))

        assert expected in named(verdicts), (at, verdicts)
        assert max(verdict.exit_code for verdict in verdicts) == 1 or len(verdicts) > 1
        assert 1 in {verdict.exit_code for verdict in verdicts}
    # All was taken back: what was found belonged to the one attack.
    with log.undone(), log.seen() as source:
        assert [verdict.exit_code for verdict in verify(source, Options(log.trust, log.witness))] == [0]
