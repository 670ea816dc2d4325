import stat

from metaqore.audit.witness import append_witness, read_witness


def test_what_is_appended_is_read_back_in_order(tmp_path):
    path = tmp_path / "witness.jsonl"
    append_witness(path, "one\n", 1)
    append_witness(path, "two — ü\n", 2)

    skipped = []
    lines = list(read_witness(path, skipped.append))

    assert [(line.number, line.ts_ms, line.note) for line in lines] == [(1, 1, "one\n"), (2, 2, "two — ü\n")]
    assert skipped == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_write_that_a_crash_cut_off_spoils_only_itself(tmp_path):
    path = tmp_path / "witness.jsonl"
    append_witness(path, "one\n", 1)
    with path.open("ab") as file:
        file.write(b'{"ts": 2, "check')
    skipped = []
    assert [line.note for line in read_witness(path, skipped.append)] == ["one\n"]
    assert skipped == [2]

    append_witness(path, "three\n", 3)

    assert [line.note for line in read_witness(path, lambda _: None)] == ["one\n", "three\n"]
