import random
import tracemalloc

import pytest

from metaqore.audit import verify as verification
from metaqore.audit.anchors import Trust
from metaqore.audit.checkpoint import Signer, cosign
from metaqore.audit.database import SqliteSource, open_database, sqlite3
from metaqore.audit.entry import make_entry
from metaqore.audit.export import ExportSource, export_lines
from metaqore.audit.findings import Attack
from metaqore.audit.source import CannotRead
from metaqore.audit.tags import Tag
from metaqore.audit.verify import Options, verify
from metaqore.audit.witness import append_witness
from tests import audit_log as setup


def check(log, **options):
    """The one verdict on a log, with its key and its witness file."""
    source = SqliteSource(log.path)
    try:
        given = {"trust": log.trust, "witness": log.witness, **options}
        [verdict] = verify(source, Options(**given))
        return verdict
    finally:
        source.close()


def export_of(log, path):
    source = SqliteSource(log.path)
    path.write_bytes(b"".join(export_lines(source, log.organization)))
    source.close()
    return ExportSource(path)


@pytest.mark.parametrize("count", [0, 1, 2, 255, 256, 257, 600, 1025])
def test_a_clean_log_is_intact_in_the_database_and_in_its_export(log, tmp_path, count):
    log.fill(count, every=100)

    for verdict in (check(log), *verify(export_of(log, tmp_path / "x"), Options(log.trust, log.witness))):
        assert (verdict.exit_code, verdict.entries, verdict.sealed) == (0, count, count), verdict
        assert verdict.notes == []


def test_clean_logs_of_many_shapes_never_alarm(tmp_path):
    """Seals at any place, times that jitter between writers, a tail not sealed yet, a witness that missed lines."""
    rng = random.Random(5)
    for number in range(25):
        folder = tmp_path / str(number)
        folder.mkdir()
        log = setup.Log(folder)
        log.seal()
        for _ in range(rng.randrange(6)):
            first = log.size + 1
            rows = [
                setup.row_of("acme", seq, ts_ms=setup.T0 + seq * 10 + rng.randint(-5_000, 5_000))
                for seq in range(first, first + rng.randrange(1, 90))
            ]
            log.append(rows)
            if rng.random() < 0.8:
                log.seal(remember=rng.random() < 0.7)
        verdict = check(log)
        assert verdict.findings == [] == verdict.doubts, verdict
        assert verify(export_of(log, folder / "x"), Options(log.trust, log.witness))[0].exit_code == 0
        log.connection.close()


def test_a_log_after_a_crash_is_intact(log):
    """The sequencer died after the witness was told and before its transaction: the witness is ahead."""
    log.fill(100)
    log.append([setup.row_of("acme", seq) for seq in range(101, 131)])
    log.seal()
    log.execute("DELETE FROM audit_checkpoints WHERE size = 130")
    log.execute("DELETE FROM audit_tiles")

    verdict = check(log)

    assert (verdict.exit_code, verdict.sealed) == (0, 130)


def test_a_log_that_goes_on_while_it_is_verified_is_intact(log):
    """The auditor sees the log as it was when it was opened; the witness goes on."""
    log.fill(100)
    log.execute("PRAGMA journal_mode = WAL")
    options = Options(log.trust, log.witness)
    source = SqliteSource(log.path)
    assert source.last_seq("acme") == 100
    earlier = log.witness.read_bytes()
    log.append([setup.row_of("acme", seq) for seq in range(101, 131)])
    log.seal()

    [verdict] = verify(source, options)

    source.close()
    assert log.witness.read_bytes().startswith(earlier) and len(log.witness.read_bytes()) > len(earlier)
    assert (verdict.exit_code, verdict.entries) == (0, 100)


def test_a_log_after_backup_and_restore_is_intact(log, tmp_path):
    log.fill(200)
    restored = tmp_path / "restored.db"
    with sqlite3.connect(restored) as target:
        log.connection.backup(target)
    target.close()
    source = open_database(f"sqlite:///{restored}")
    assert verify(source, Options(log.trust, log.witness))[0].exit_code == 0


def test_a_log_after_an_erasure_is_intact(log):
    """Erasing destroys salt and payload outside the log and appends an entry: no entry changes."""

    def row(organization, seq):
        entry = make_entry(
            organization=organization,
            seq=seq,
            tag=Tag.SUBJECT_ERASED if seq == 100 else Tag.ARTIFACT_ADMITTED,
            actor="prn_1",
            ts_ms=setup.T0 + seq * 10,
            commitment="hmac-sha256:" + "0" * 64,
        )
        return (
            organization, seq, str(entry.tag), "prn_1", None, None, setup.T0 + seq * 10, entry.body, entry.leaf_hash,
        )  # fmt: skip

    log.fill(100, row=row)
    assert check(log).exit_code == 0


def test_without_a_trusted_key_nothing_is_called_intact(log):
    log.fill(50)
    verdict = check(log, trust=Trust())
    assert verdict.exit_code == 2
    assert "--trust" in verdict.doubts[0]


def test_the_wrong_trusted_log_is_a_doubt_and_says_so(log):
    log.fill(50)
    other = Signer.from_seed("other.example", b"\x01" * 32)
    verdict = check(log, trust=Trust((other.vkey,)), witness=None)
    assert verdict.exit_code == 2
    assert "log.example/audit/acme" in verdict.doubts[0]


def test_a_rotated_key_is_followed_when_both_are_trusted(log):
    after = Signer.from_seed(setup.LOG_NAME, b"\x22" * 32)
    log.fill(100).fill(200, signer=after)
    assert check(log, trust=Trust((setup.KEY.vkey, after.vkey))).exit_code == 0
    verdict = check(log, witness=None)
    assert verdict.exit_code == 1
    assert "rotated" in str(verdict.findings[-1])


def test_a_cosigned_checkpoint_is_intact_and_a_forged_cosignature_is_named(log):
    witness = Signer.from_seed("witness.example", b"\x33" * 32, witness=True)
    stranger = Signer.from_seed("witness.example", b"\x34" * 32, witness=True)
    log.fill(100)
    trust = Trust((setup.KEY.vkey, witness.vkey))
    log.execute("UPDATE audit_checkpoints SET note = ? WHERE size = 100", cosign(log.note, witness, 1_760_000_000))
    assert check(log, trust=trust).exit_code == 0
    log.execute("UPDATE audit_checkpoints SET note = ? WHERE size = 100", cosign(log.note, stranger, 1_760_000_000))
    assert check(log, trust=trust).exit_code == 0
    forged = log.note + witness.sign("something else\n", 1_760_000_000)
    log.execute("UPDATE audit_checkpoints SET note = ? WHERE size = 100", forged)
    assert [str(finding.attack) for finding in check(log, trust=trust).findings] == ["checkpoint_edited"]


def test_entries_that_stay_unsealed_are_a_doubt_and_fresh_ones_a_note(log):
    log.fill(100)
    log.append([setup.row_of("acme", seq) for seq in range(101, 111)])
    verdict = check(log)
    assert verdict.exit_code == 0
    assert verdict.notes == ["the newest 10 entries are not sealed yet"]

    log.append([setup.row_of("acme", 111, ts_ms=setup.T0 + 3_600_000)])
    verdict = check(log)
    assert verdict.exit_code == 2
    assert "from 101 on" in verdict.doubts[0]


def test_a_log_without_any_checkpoint_cannot_be_told(log):
    log.append([setup.row_of("acme", seq) for seq in range(1, 11)])
    assert check(log, witness=None).exit_code == 2


def test_a_kept_checkpoint_saves_reading_what_it_covers(log):
    log.fill(600, every=100)
    kept = log.note
    log.fill(900, every=100)
    # An edit below the kept checkpoint was verified then and is not read again.
    log.execute("UPDATE audit_entries SET actor = 'prn_x' WHERE seq = 5")
    verdict = check(log, since=kept)
    assert (verdict.exit_code, verdict.entries) == (0, 900)
    assert verdict.notes == ["entries 1 to 600 were not read again"]
    log.execute("UPDATE audit_entries SET actor = 'prn_x' WHERE seq = 605")
    assert [str(finding.attack) for finding in check(log, since=kept).findings] == ["column_edited"]
    # Without tiles that lead to it, everything is read.
    log.execute("DELETE FROM audit_tiles")
    assert check(log, since=kept).findings[0].seq == 5


def test_a_kept_checkpoint_that_is_not_one_is_a_doubt(log):
    log.fill(50)
    assert check(log, since="hello").exit_code == 2


def test_a_whole_log_that_is_gone_is_missed_by_the_witness(log, tmp_path):
    log.fill(50)
    other = setup.Log(tmp_path, "globex", path=log.path)
    other.fill(20)
    log.execute("DELETE FROM audit_entries WHERE organization = 'globex'")
    log.execute("DELETE FROM audit_checkpoints WHERE organization = 'globex'")

    verdicts = verify(SqliteSource(log.path), Options(log.trust, log.witness))

    assert [verdict.exit_code for verdict in verdicts] == [0, 1]
    assert verdicts[1].findings[0].attack is Attack.TRUNCATED


def test_an_organization_that_is_not_even_text_does_not_stop_the_verification(log):
    log.fill(50)
    log.execute("UPDATE audit_entries SET organization = x'ff00' WHERE seq = 7")
    log.execute("UPDATE audit_entries SET organization = CAST(x'ff01' AS TEXT) WHERE seq = 8")
    verdicts = verify(SqliteSource(log.path), Options(log.trust, log.witness))
    assert (str(verdicts[0].findings[0].attack), verdicts[0].findings[0].seq) == ("deleted", 7)


def test_two_organizations_do_not_disturb_one_another(log, tmp_path):
    log.fill(50)
    other = setup.Log(tmp_path, "gl/o bex", path=log.path)
    other.fill(20)
    other.execute("DELETE FROM audit_entries WHERE organization = 'gl/o bex' AND seq = 3")

    verdicts = verify(SqliteSource(log.path), Options(log.trust, log.witness))

    assert [(verdict.organization, verdict.exit_code) for verdict in verdicts] == [("acme", 0), ("gl/o bex", 1)]


def test_two_kinds_of_tampering_are_both_named(log):
    log.fill(200)
    log.execute("UPDATE audit_entries SET actor = 'prn_x' WHERE seq = 9")
    log.execute("DELETE FROM audit_entries WHERE seq > 190")
    found = [(str(finding.attack), finding.seq) for finding in check(log).findings]
    assert found == [("column_edited", 9), ("truncated", 191)]


@pytest.mark.parametrize("damage", ["text", "signature"])
def test_an_older_checkpoint_that_was_changed_is_named_though_the_entries_are_intact(log, damage):
    log.fill(200)
    notes = dict(log.execute("SELECT size, note FROM audit_checkpoints").fetchall())
    changed = "garbage" if damage == "text" else notes[64].split("\n\n")[0] + "\n\n" + notes[128].split("\n\n")[1]
    log.execute("UPDATE audit_checkpoints SET note = ? WHERE size = 64", changed)

    verdict = check(log)

    assert [(str(finding.attack), finding.seq) for finding in verdict.findings] == [("checkpoint_edited", 64)]


def test_entries_dated_after_a_witness_saw_them_are_named(log):
    log.seal()
    log.append([setup.row_of("acme", seq, ts_ms=setup.T0 + 86_400_000) for seq in range(1, 11)])
    log.seal()
    assert [str(finding.attack) for finding in check(log).findings] == ["backdated"]


def test_a_witness_file_with_unreadable_lines_is_used_as_far_as_it_goes(log):
    log.fill(100)
    with log.witness.open("a") as file:
        file.write("garbage\n")
    append_witness(log.witness, "not a note", 5)
    verdict = check(log)
    assert verdict.exit_code == 0
    assert ["passed over" in note for note in verdict.notes] == [True, True]


ODD_NAMES = [
    'a "quoted" one',
    "back\\slash",
    "line\nfeed",
    "prn_ü€😀",
    "a\x00b",
    '","organization":"other","project":"',
    "",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_columns_with_any_text_are_intact(log, tmp_path, name):
    names = {"actor": name, "project": name, "request": name}
    log.fill(20)
    log.append([setup.row_of("acme", 21, **names), setup.row_of("acme", 22, **{**names, "project": None})])
    log.seal()
    assert check(log).exit_code == 0
    assert verify(export_of(log, tmp_path / "x"), Options(log.trust, log.witness))[0].exit_code == 0


@pytest.mark.parametrize(
    ("column", "value"),
    [
        # What looks the same where it is only joined to a text.
        ("actor", b"prn_1"), ("tag", b"{tag}"), ("project", b"prj_0"), ("request_id", b"req_51"),
        ("ts_ms", b"1760000000510"), ("actor", "prn_1\x00x"), ("actor", "prn_1 "), ("project", None),
        ("project", ""), ("request_id", None), ("ts_ms", 1_760_000_000_511), ("tag", ""),
        # The names between the columns, moved into one of them.
        ("actor", 'prn_1","organization":"acme","project":"prj_0'), ("actor", b"\xff"),
    ],
)  # fmt: skip
def test_a_column_of_another_type_or_length_is_named(log, column, value):
    log.fill(100)
    if isinstance(value, bytes):
        value = value.replace(b"{tag}", setup.TAGS[51 % len(setup.TAGS)].encode())
    log.execute("PRAGMA ignore_check_constraints = ON")
    if value is None:
        assert log.execute(f"SELECT {column} FROM audit_entries WHERE seq = 51").fetchone() != (None,)
    log.execute(f"UPDATE audit_entries SET {column} = ? WHERE seq = 51", value)
    [finding] = check(log).findings
    assert (str(finding.attack), finding.seq) == ("column_edited", 51)


def test_a_text_written_as_json_escapes_it_is_not_the_text(log):
    log.fill(20)
    log.append([setup.row_of("acme", 21, actor="line\nfeed", project="prj_1", request="req_1")])
    log.seal()
    log.execute("UPDATE audit_entries SET actor = ? WHERE seq = 21", "line\\nfeed")
    assert [(str(finding.attack), finding.seq) for finding in check(log).findings] == [("column_edited", 21)]


def test_times_of_any_length_are_compared(log, tmp_path):
    """Before 2001 and after 2286 a time has not 13 digits."""
    for seq, ts_ms in enumerate((999, 10**12, 10**13, 10**13 - 61_000), start=1):
        log.append([setup.row_of("acme", seq, ts_ms=ts_ms)])
    log.seal(remember=False)
    for verdict in (check(log, witness=None), *verify(export_of(log, tmp_path / "x"), Options(log.trust))):
        assert [(str(finding.attack), finding.seq) for finding in verdict.findings] == [("backdated", 4)]


def test_blocks_in_several_processes_say_what_one_says(log, monkeypatch):
    monkeypatch.setattr(verification, "PARALLEL_FROM", 1)
    monkeypatch.setattr(verification, "BLOCK_HEIGHT", 9)
    monkeypatch.setattr(verification, "BLOCK_ENTRIES", 512)
    count = 11 * 512 + 100
    log.fill(count, every=700)

    verdict = check(log, processes=2)
    assert (verdict.exit_code, verdict.entries, verdict.sealed) == (0, count, count)

    at = verification.BLOCK_ENTRIES + 77
    log.execute("UPDATE audit_entries SET actor = 'prn_x' WHERE seq = ?", at)
    assert check(log, processes=2).findings == check(log).findings
    assert [finding.seq for finding in check(log).findings] == [at]
    log.execute("DELETE FROM audit_entries WHERE seq = ?", verification.BLOCK_ENTRIES)
    assert check(log, processes=2).findings == check(log).findings


def test_memory_does_not_grow_with_the_log(tmp_path):
    # Counted is what the verifier holds while it is at work: threads of earlier tests go on.
    ours = [tracemalloc.Filter(True, "*/metaqore/audit/*")]
    peaks = []
    for count in (2_000, 20_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        log = setup.Log(folder)
        log.connection.executescript("PRAGMA synchronous=OFF")
        log.fill(count, every=1_000)
        held = []

        def note(_checked, held=held):
            held.append(sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces(ours).traces))

        source = SqliteSource(log.path)
        tracemalloc.start()
        [verdict] = verify(source, Options(trust=log.trust, witness=log.witness), note)
        tracemalloc.stop()
        source.close()
        log.connection.close()
        assert verdict.exit_code == 0
        peaks.append((max(held), len(held)))
    assert peaks[1][0] < 1.5 * peaks[0][0] + 1_000_000


def test_what_is_no_audit_log_is_said_to_be_none(tmp_path):
    with pytest.raises(CannotRead, match="no such file"):
        open_database(str(tmp_path / "nothing.db"))
    empty = tmp_path / "empty.db"
    sqlite3.connect(empty).close()
    with pytest.raises(CannotRead, match="audit_entries"):
        open_database(str(empty))
    (tmp_path / "text.db").write_text("hello" * 1000)
    with pytest.raises(CannotRead):
        open_database(str(tmp_path / "text.db"))
    with pytest.raises(CannotRead, match="mysql"):
        open_database("mysql://h/d")
    (tmp_path / "export").write_text("hello\n")
    with pytest.raises(CannotRead, match="header"):
        ExportSource(tmp_path / "export")


def test_an_export_that_was_cut_off_is_a_doubt_or_an_alarm(log, tmp_path):
    log.fill(100)
    whole = export_of(log, tmp_path / "x")
    lines = (tmp_path / "x").read_bytes().splitlines(keepends=True)
    for kept, code in ((len(lines) - 1, 2), (len(lines) - 2, 2)):
        (tmp_path / "cut").write_bytes(b"".join(lines[:kept]))
        assert verify(ExportSource(tmp_path / "cut"), Options(log.trust))[0].exit_code == code
    (tmp_path / "cut").write_bytes(b"".join(lines)[:-400])
    assert verify(ExportSource(tmp_path / "cut"), Options(log.trust, log.witness))[0].exit_code in (1, 2)
    assert verify(whole, Options(log.trust))[0].exit_code == 0


def test_lines_of_another_form_in_an_export_are_named(log, tmp_path):
    log.fill(100)
    export_of(log, tmp_path / "x")
    lines = (tmp_path / "x").read_bytes().splitlines(keepends=True)
    where = next(at for at, line in enumerate(lines) if b'"seq":40,' in line)
    for bad in (b"garbage\n", b"{}\n", lines[where].replace(b'{"leaf_hash":"', b'{"leaf_hash":"zz')):
        (tmp_path / "bad").write_bytes(b"".join([*lines[:where], bad, *lines[where + 1 :]]))
        verdict = verify(ExportSource(tmp_path / "bad"), Options(log.trust))[0]
        assert [(str(finding.attack), finding.seq) for finding in verdict.findings][:1] == [("edited", 40)], bad


@pytest.mark.postgres
def test_postgresql_is_verified_like_sqlite(tmp_path, postgres):
    psycopg = pytest.importorskip("psycopg")
    log = setup.Log(tmp_path).fill(700, every=100)
    dsn = postgres.make()
    schema = setup.SCHEMA.replace("BLOB", "BYTEA").replace(" WITHOUT ROWID", "")
    with psycopg.connect(dsn) as connection:
        connection.execute(schema)
        for table, width in (("audit_entries", 9), ("audit_checkpoints", 3), ("audit_tiles", 4)):
            rows = log.execute(f"SELECT * FROM {table}").fetchall()
            marks = ",".join(["%s"] * width)
            connection.cursor().executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    kept = log.note
    for options in (Options(log.trust, log.witness), Options(log.trust, since=kept)):
        source = open_database(dsn)
        [verdict] = verify(source, options)
        assert (verdict.exit_code, verdict.entries, verdict.sealed) == (0, 700, 700), verdict
        source.close()
    source = open_database(dsn)
    exported = b"".join(export_lines(source, "acme"))
    source.close()
    assert exported == b"".join(export_lines(SqliteSource(log.path), "acme"))
    for sql, expected in (
        ("UPDATE audit_entries SET actor = 'prn_x' WHERE seq = 500", ("column_edited", 500)),
        ("UPDATE audit_entries SET body = 'x'::bytea WHERE seq = 499", ("edited", 499)),
        ("DELETE FROM audit_entries WHERE seq = 300", ("deleted", 300)),
    ):
        with psycopg.connect(dsn) as connection:
            connection.execute(sql)
        source = open_database(dsn)
        [verdict] = verify(source, Options(log.trust, log.witness))
        source.close()
        assert expected in [(str(finding.attack), finding.seq) for finding in verdict.findings], verdict
        log.connection.close()
