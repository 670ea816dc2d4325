"""The sequencer over both databases: one chain, whoever seals, whoever dies, whatever was changed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from metaqore.audit.anchors import Trust
from metaqore.audit.checkpoint import Signer, parse_checkpoint
from metaqore.audit.database import open_database
from metaqore.audit.findings import Verdict
from metaqore.audit.ports import Sealing
from metaqore.audit.sealer import LEASE_MS, Sealer
from metaqore.audit.tags import Tag
from metaqore.audit.verify import Options, verify
from metaqore.audit.witness import WitnessFile, read_witness
from metaqore.messages import AuditNote
from metaqore.requests.catalogue import Catalogue
from metaqore.requests.recorder import Recorder
from metaqore.store.engine import Database
from metaqore.store.unit_of_work import SqlStore

KEY = Signer.from_seed("log.example", b"\x07" * 32)
START = 1_800_000_000_000


class Log:
    """A log over a database, and those who seal it."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.store = SqlStore(database)
        self.now = START
        self.witness = folder / "outside" / "witness.jsonl"
        self.signers = [KEY]

    def append(self, n: int, organization: str = "acme") -> None:
        """Append entries as the pipeline does, in one commit."""
        with self.store.write() as tx:
            recorder = Recorder(Catalogue([]), self.now)
            for i in range(n):
                recorder.note(organization, "ann", AuditNote(tag=Tag.KEY_CREATED, subject=f"key_{i}"))
            recorder.flush(tx)

    def sealer(self, owner: str = "one", memory: WitnessFile | None = None) -> Sealer:
        """Return what one worker process has."""
        return Sealer(
            self.store, lambda: self.signers, memory or WitnessFile(self.witness), owner=owner, clock=lambda: self.now
        )

    def verdicts(self, witness: Path | None = None) -> list[Verdict]:
        """Verify the log offline."""
        source = open_database(self.database.dsn)
        try:
            trust = Trust(tuple(signer.vkey for signer in [KEY, *self.signers]))
            return verify(source, Options(trust, witness or self.witness))
        finally:
            source.close()

    def check(self, entries: int) -> None:
        """All of it is sealed, signed, remembered and intact."""
        [verdict] = self.verdicts()
        assert (verdict.exit_code, verdict.entries, verdict.sealed) == (0, entries, entries), verdict
        remembered = [parse_checkpoint(line.note).size for line in read_witness(self.witness, lambda _: None)]
        assert remembered[-1] == entries

    def sql(self, text: str) -> Sequence[tuple[object, ...]]:
        """Run a statement behind everybody's back."""
        with self.database.write() as connection:
            cursor = connection.exec_driver_sql(text)
            return cursor.fetchall() if text.startswith("SELECT") else []


@pytest.fixture
def log(database: Database, tmp_path: Path) -> Log:
    return Log(database, tmp_path)


def test_what_is_appended_is_covered_by_a_checkpoint_that_verifies_offline(log: Log) -> None:
    sealer = log.sealer()
    for n in (1, 300, 7, 256):
        log.append(n)
        assert sealer.run() >= n
        log.now += 1000
    assert sealer.run() == 0
    log.check(564)
    assert [row[0] for row in log.sql("SELECT size FROM audit_checkpoints ORDER BY size")] == [0, 1, 301, 308, 564]


def test_the_columns_of_a_sound_log_agree_with_its_bytes_at_once(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each block would be looked at entry by entry, which says the same and takes ten times as long."""
    monkeypatch.setattr("metaqore.audit.verify.examine", lambda *_: pytest.fail("entries are looked at one by one"))
    with log.store.write() as tx:
        recorder = Recorder(Catalogue([]), log.now)
        for name in ("ann", 'a "quoted" one', "back\\slash", "line\nfeed", "ü€😀"):
            recorder.note("acme", name, AuditNote(tag=Tag.KEY_CREATED, subject="key_1"))
            recorder.note("acme", name, AuditNote(tag=Tag.KEY_CREATED), project="prj_1", request="req_1")
        recorder.flush(tx)
    log.sealer().run()
    log.check(10)


def test_each_organization_has_a_chain_of_its_own(log: Log) -> None:
    log.append(3)
    log.append(5, "globex")
    log.sealer().run()
    assert [(v.organization, v.exit_code, v.sealed) for v in log.verdicts()] == [("acme", 0, 3), ("globex", 0, 5)]


def test_while_one_seals_another_leaves_it_to_it_and_takes_over_when_its_lease_ends(log: Log) -> None:
    one, two = log.sealer("one"), log.sealer("two")
    log.append(2)
    assert one.run() == 2
    log.append(2)
    assert two.run() == 0
    log.now += LEASE_MS
    assert two.run() == 2
    assert one.run() == 0
    log.check(4)


def test_of_two_that_seal_at_once_one_stores_nothing(log: Log) -> None:
    class Slow(Sealer):
        """Is overtaken between signing and storing."""

        def _commit(self, *given):  # type: ignore[no-untyped-def]
            if log.now == START:
                log.now += LEASE_MS
                log.append(1)
                assert log.sealer("quick").run() == 3
            return super()._commit(*given)

    log.append(2)
    slow = Slow(log.store, lambda: log.signers, WitnessFile(log.witness), owner="slow", clock=lambda: log.now)
    assert slow.run() == 0
    log.check(3)
    assert [row[0] for row in log.sql("SELECT size FROM audit_checkpoints ORDER BY size")] == [0, 3]


def test_eight_writers_and_three_sealers_make_one_gapless_chain(log: Log) -> None:
    done = threading.Event()

    def seal(owner: str) -> None:
        sealer = Sealer(log.store, lambda: log.signers, WitnessFile(log.witness), owner=owner)
        while not done.is_set():
            sealer.run()

    sealers = [threading.Thread(target=seal, args=(f"s{i}",)) for i in range(3)]
    writers = [threading.Thread(target=lambda: [log.append(3) for _ in range(6)]) for _ in range(8)]
    for thread in [*sealers, *writers]:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in sealers:
        thread.join()
    log.now = 2 * START
    log.sealer("last").run()
    [verdict] = log.verdicts()
    # The sealers' clock is the real one and the entries' is not.
    assert {str(f.attack) for f in verdict.findings} <= {"backdated"}
    assert (verdict.entries, verdict.sealed) == (144, 144)


def test_a_witness_that_cannot_be_written_stops_no_sealing_and_is_told_later(log: Log, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("in the way")
    sealer = log.sealer()
    log.append(2)
    assert sealer.run() == 2
    (tmp_path / "outside").unlink()
    assert sealer.run() == 0
    log.check(2)


def test_what_a_killed_sealer_did_not_tell_the_witness_its_follower_does(log: Log) -> None:
    class Forgetful(WitnessFile):
        def remember(self, sealings: Sequence[object]) -> None:
            raise KeyboardInterrupt

    log.append(4)
    with pytest.raises(KeyboardInterrupt):
        log.sealer("killed", Forgetful(log.witness)).run()
    assert not log.witness.exists()
    log.now += LEASE_MS
    assert log.sealer("next").run() == 0
    log.check(4)


def test_tiles_that_were_damaged_are_built_again_from_the_entries(log: Log) -> None:
    sealer = log.sealer()
    log.append(300)
    sealer.run()
    log.sql("DELETE FROM audit_tiles WHERE level = 0 AND tile_index = 1")
    log.append(10)
    sealer.run()
    log.sql("UPDATE audit_tiles SET hashes = (SELECT hashes FROM audit_tiles WHERE level = 1) WHERE tile_index = 1")
    log.append(10)
    sealer.run()
    log.check(320)
    assert not sealer.damaged


@pytest.mark.parametrize("change", [
    "DELETE FROM audit_entries WHERE seq = 5", "DELETE FROM audit_entries WHERE organization = 'acme' AND seq = 2",
    "UPDATE audit_entries SET leaf_hash = body WHERE seq = 5", "UPDATE audit_checkpoints SET note = 'x' WHERE size = 3",
])  # fmt: skip
def test_nothing_is_signed_that_does_not_continue_what_was_signed(log: Log, change: str) -> None:
    sealer = log.sealer()
    log.append(3)
    sealer.run()
    log.append(3)
    log.append(3, "globex")
    log.sql("DELETE FROM audit_tiles WHERE organization = 'acme'")
    log.sql(change)
    assert sealer.run() == 3
    assert [row[0] for row in log.sql("SELECT organization FROM audit_checkpoints WHERE size > 3")] == []
    assert set(sealer.damaged) == {"acme"}
    found = {v.organization: v.exit_code for v in log.verdicts()}
    assert found == {"acme": 1, "globex": 0}


def test_a_rotated_key_signs_and_the_old_checkpoints_stay_trusted(log: Log) -> None:
    sealer = log.sealer()
    log.append(3)
    sealer.run()
    log.signers = [KEY, Signer.from_seed("log.example", b"\x08" * 32)]
    log.append(3)
    sealer.run()
    log.signers = log.signers[1:]
    log.append(3)
    sealer.run()
    log.check(9)
    assert len(log.sql("SELECT vkey FROM audit_keys")) == 2


def test_a_checkpoint_covers_an_entry_within_a_second_of_its_commit(log: Log) -> None:
    """With a clock that stands for the worker's look every fifth of a second: an upper bound, not a measurement."""
    from workers.sealing import LOOK_EVERY_S

    assert LOOK_EVERY_S * 1000 + LEASE_MS < 1000


def test_sealings_are_what_the_witness_line_says(log: Log) -> None:
    log.append(1)
    log.sealer().run()
    [empty, full] = read_witness(log.witness, lambda _: None)
    assert (empty.ts_ms, full.ts_ms) == (log.now, log.now)
    assert Sealing("acme", 1, full.note, log.now).size == parse_checkpoint(full.note).size
