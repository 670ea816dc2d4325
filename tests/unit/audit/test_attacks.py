"""Twelve classes of tampering at the first, a middle, the last and random positions: each must be named.

``AUDIT_POSITIONS`` sets how many random positions each attack is tried at. On PostgreSQL: tests/contract/audit.
"""

import os
import random

import pytest

from metaqore.audit.export import ExportSource, export_lines
from metaqore.audit.findings import Attack
from metaqore.audit.verify import Options, verify
from tests.audit_attacks import (
    ATTACKS,
    BODY,
    ENTRIES,
    EVERY,
    Case,
    check_on_a_database,
    duplicate_later,
    edit_bytes_and_hash,
    edit_bytes_hash_and_column,
    named,
    positions,
    swap_bytes,
)
from tests.audit_log import Log

POSITIONS = int(os.environ.get("AUDIT_POSITIONS", "5"))
# The long form takes as long as it takes.
pytestmark = [pytest.mark.timeout(0)] if POSITIONS > 20 else []
# An export has no columns but the hash, and no tiles that would still tell which of the entries was changed.
UNSEEN_IN_AN_EXPORT = {attack.__name__ for attack in ATTACKS if attack.__name__.startswith("edit_column")} | {
    "edit_seq_column",
    "edit_organization_column",
    "swap_bytes_and_hashes",
}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    log = Log(tmp_path_factory.mktemp("clean"))
    yield log.fill(ENTRIES, every=EVERY)
    log.connection.close()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_an_attack_on_the_database_is_named_with_its_first_entry(attack, clean, tmp_path):
    check_on_a_database(attack, clean, tmp_path, POSITIONS)


@pytest.mark.parametrize(
    "attack",
    [attack for attack in ATTACKS if attack.__name__ not in UNSEEN_IN_AN_EXPORT],
    ids=lambda attack: attack.__name__,
)
def test_an_attack_on_an_export_is_named_with_its_first_entry(attack, clean, tmp_path):
    rows = clean.rows()
    for number, at in enumerate(positions(attack, POSITIONS)):
        path = tmp_path / "export.jsonl"
        with clean.undone():
            case = Case(clean, rows, tmp_path, at, random.Random(f"{attack.__name__} {number}"))
            expected = attack(case)
            if any(b"\n" in row[BODY] for row in clean.rows()):
                continue
            with clean.seen() as source:
                path.write_bytes(b"".join(export_lines(source, "acme")))
        if attack in (edit_bytes_and_hash, edit_bytes_hash_and_column):
            expected = (Attack.REWRITTEN_WITHOUT_KEY, (at - 1) // EVERY * EVERY + 1)
        if attack is duplicate_later:
            expected = (Attack.DUPLICATED, at)
        if attack is swap_bytes:
            expected = (Attack.EDITED, expected[1])

        verdicts = verify(ExportSource(path), Options(trust=clean.trust, witness=case.witness, since=case.since))

        assert expected in named(verdicts), (at, verdicts)
        assert [verdict.exit_code for verdict in verdicts] == [1]


VALUES = [None, 0, -1, 5, 2.5, float("inf"), "", "x", "x" * 5000, b"", b"\xff\x00", b"{}", b"[" * 3000, 2**62, 'a"b\\']


def test_any_cell_set_to_any_value_is_tampering(tmp_path):
    """Whatever type SQLite lets in: no crash, no answer but tampered."""
    columns = ["organization", "seq", "tag", "actor", "project", "request_id", "ts_ms", "body", "leaf_hash"]
    rng = random.Random(11)
    log = Log(tmp_path).fill(ENTRIES, every=EVERY)
    # Without the constraints that would refuse some of the values.
    log.connection.executescript(
        "CREATE TABLE t AS SELECT * FROM audit_entries; DROP TABLE audit_entries;"
        "ALTER TABLE t RENAME TO audit_entries; CREATE INDEX i ON audit_entries (organization, seq)"
    )
    rows = log.rows()
    for _ in range(12 * POSITIONS):
        at, column, value = rng.randint(1, ENTRIES), rng.choice(columns), rng.choice(VALUES)
        before = rows[at - 1][columns.index(column)]
        with log.undone():
            log.execute(f"UPDATE audit_entries SET {column} = ? WHERE seq = ?", value, at)
            with log.seen() as source:
                verdicts = verify(source, Options(trust=log.trust, witness=log.witness))

        tampered = type(before) is not type(value) or before != value
        assert tampered == (1 in {verdict.exit_code for verdict in verdicts}), (at, column, value, verdicts)
    log.connection.close()
