"""The auditor's commands, through ``metaqore audit`` and through the stand-alone file."""

import base64
import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from click.testing import CliRunner

from metaqore.audit import offline, standalone
from metaqore.audit.standalone import generate
from metaqore.cli.audit import group
from metaqore.delivery.egress import EgressPolicy
from metaqore.delivery.webhooks import Sender
from tests import audit_log as setup
from tests.webhooks import Clock, FakeNetwork, make_delivery

VKEY = str(setup.KEY.vkey)


def run(*arguments):
    return CliRunner().invoke(group, [str(argument) for argument in arguments])


@pytest.fixture
def full(log):
    return log.fill(300, every=100)


def test_a_clean_log_exits_0_a_tampered_one_1_and_an_unreadable_one_2(full, tmp_path):
    done = run("verify", "--db", full.path, "--trust", VKEY, "--witness", full.witness)
    assert (done.exit_code, done.output) == (0, "acme: INTACT: 300 entries, 300 covered by a trusted signature\n")

    full.execute("UPDATE audit_entries SET actor = 'prn_x' WHERE seq = 17")
    done = run("verify", "--db", f"sqlite:///{full.path}", "--trust", VKEY, "--witness", full.witness)
    assert done.exit_code == 1
    assert "acme: TAMPERED" in done.output
    assert "entry 17: column_edited: the column actor says 'prn_x'" in done.output

    for arguments in (
        ("verify", "--db", tmp_path / "nothing", "--trust", VKEY),
        ("verify", "--trust", VKEY),
        ("verify", "--db", full.path, "--trust", "nonsense"),
        ("verify", "--db", full.path, "--trust", VKEY, "--witness", tmp_path / "nothing"),
    ):
        done = run(*arguments)
        assert done.exit_code == 2, done.output
        assert "CANNOT TELL" in done.output


def test_a_fault_of_the_verifier_does_not_pass_for_tampering(full, monkeypatch):
    def faulty(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("metaqore.cli.audit.run_verify", faulty)
    monkeypatch.setattr("metaqore.audit.offline.run_verify", faulty)
    assert run("verify", "--db", full.path, "--trust", VKEY).exit_code == 2
    assert offline.main(["verify", "--db", str(full.path), "--trust", VKEY]) == 2


def test_a_key_file_serves_as_trust(full, tmp_path):
    (tmp_path / "keys").write_text(VKEY + "\n\n")
    assert run("verify", "--db", full.path, "--trust", tmp_path / "keys").exit_code == 0


def test_an_export_is_verified_and_proved_from(full, tmp_path):
    out = tmp_path / "acme.jsonl"
    assert run("export", "--db", full.path, "--out", out).exit_code == 0
    assert all(json.loads(line) for line in out.read_text().splitlines())
    assert run("verify", "--export", out, "--trust", VKEY, "--witness", full.witness).exit_code == 0
    receipts = [
        run("prove", "--seq", 42, "--trust", VKEY, *log).output for log in (("--export", out), ("--db", full.path))
    ]
    assert receipts[0] == receipts[1]


def test_a_receipt_is_proved_and_checked_in_both_forms(full, tmp_path):
    body = full.execute("SELECT body FROM audit_entries WHERE seq = 42").fetchone()[0]
    (tmp_path / "entry").write_bytes(body)
    (tmp_path / "other").write_bytes(body.replace(b"42", b"43"))
    for form in ((), ("--text",)):
        done = run("prove", "--db", full.path, "--seq", 42, "--trust", VKEY, *form)
        assert done.exit_code == 0
        (tmp_path / "receipt").write_text(done.output)
        checked = run("check-receipt", tmp_path / "receipt", "--trust", VKEY, "--entry", tmp_path / "entry")
        assert (checked.exit_code, checked.output) == (
            0,
            "entry 42 is in the log log.example/audit/acme of 300 entries\n",
        )
        assert run("check-receipt", tmp_path / "receipt", "--trust", VKEY, "--entry", tmp_path / "other").exit_code == 1
        assert run("check-receipt", tmp_path / "receipt").exit_code == 2
    (tmp_path / "receipt").write_text("{}")
    assert run("check-receipt", tmp_path / "receipt", "--trust", VKEY).exit_code == 2, "it says nothing of the log"


def test_what_a_client_kept_of_a_result_is_held_against_the_log(full, tmp_path):
    kept = {"entries": [{"seq": seq, "tag": "-", "leaf_hash": full.rows()[seq - 1][8].hex()} for seq in (41, 42)]}

    def check(**changed):
        (tmp_path / "kept").write_text(
            json.dumps({"id": "req_1", "audit": {**kept, "checkpoint": full.note, **changed}})
        )
        return run("check-receipt", tmp_path / "kept", "--db", full.path, "--trust", VKEY)

    checked = check()
    assert checked.exit_code == 0, checked.output
    assert "entry 42 is in the log log.example/audit/acme as it was shown" in checked.output
    assert run("check-receipt", tmp_path / "kept", "--trust", VKEY).exit_code == 2, "it has no proof of its own"
    assert run("check-receipt", tmp_path / "kept", "--db", full.path).exit_code == 2, "no signature was checked"
    assert check(checkpoint=None).exit_code == 2, "it was not sealed yet"
    assert check(checkpoint=full.note.replace("\n300\n", "\n299\n")).exit_code == 1, "its signature does not fit"
    assert "entry 7 of acme is not the one" in check(entries=[{"seq": 7, "leaf_hash": "0" * 64}]).output
    (tmp_path / "kept").write_text(json.dumps({**kept, "checkpoint": full.note}))
    assert run("check-receipt", tmp_path / "kept", "--db", full.path, "--trust", VKEY).exit_code == 0


@pytest.fixture
def received(full):
    """What a receiver gets of a webhook about entry 42: body and headers."""
    network = FakeNetwork()
    leaf = full.rows()[41][8].hex()
    sent = make_delivery(audit_seq=42, leaf_hash=leaf, checkpoint=full.note)
    Sender(network, EgressPolicy(), clock=Clock(), jitter=lambda: 0.0).attempt(sent)
    [posted] = network.sent
    return posted.body.decode(), posted.headers


HEADER_FILES = {
    "as curl and proxies write them": lambda headers: (
        "HTTP/1.1 200 OK\r\n" + "".join(f"{name.title()}: {value}\r\n" for name, value in headers.items())
    ),
    "as an object": json.dumps,
    "as pairs": lambda headers: json.dumps(list(headers.items())),
    "as an object of lists": lambda headers: json.dumps({name: [value] for name, value in headers.items()}),
    "as WSGI has them": lambda headers: json.dumps(
        {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()}
    ),
}


@pytest.mark.parametrize("form", HEADER_FILES)
def test_a_webhook_is_checked_from_what_its_receiver_got(form, full, received, tmp_path):
    body, headers = received
    (tmp_path / "body").write_text(body)
    (tmp_path / "headers").write_text(HEADER_FILES[form](headers))
    checked = run("check-receipt", tmp_path / "body", "--headers", tmp_path / "headers", "--db", full.path,
                  "--trust", VKEY)  # fmt: skip
    assert checked.exit_code == 0, checked.output
    assert "entry 42 is in the log log.example/audit/acme as it was shown" in checked.output


def test_a_webhook_that_the_log_contradicts_is_tampering_and_one_without_checkpoint_cannot_tell(
    full, received, tmp_path
):
    body, headers = received
    name = "metaqore-checkpoint"

    def check(body, headers):
        (tmp_path / "body").write_text(body)
        (tmp_path / "headers").write_text(json.dumps(headers))
        return run("check-receipt", tmp_path / "body", "--headers", tmp_path / "headers", "--db", full.path,
                   "--trust", VKEY)  # fmt: skip

    other = json.dumps({"audit": {"seq": 43, "leaf_hash": json.loads(body)["audit"]["leaf_hash"]}})
    assert check(other, headers).exit_code == 1
    forged = base64.b64encode(full.note.replace("\n300\n", "\n301\n").encode()).decode()
    assert check(body, {name: forged}).exit_code == 1
    for came_with in ({}, {name: "%"}, {name: base64.b64encode(b"\xff").decode()}):
        assert check(body, came_with).exit_code == 2, came_with
    assert check(json.dumps({"audit": None}), headers).exit_code == 2
    (tmp_path / "body").write_text(body)
    without = run("check-receipt", tmp_path / "body", "--db", full.path, "--trust", VKEY)
    assert (without.exit_code, "give its headers, too" in without.output) == (2, True)


@pytest.mark.parametrize("kept", [lambda note: note + "\n", lambda note: note.rstrip("\n"),
                                  lambda note: note.replace("\n", "\r\n")], ids=["jq", "shell", "editor"])  # fmt: skip
def test_a_checkpoint_is_read_as_tools_write_it_to_a_file(kept, full, tmp_path):
    first = full.execute("SELECT note FROM audit_checkpoints WHERE size = 100").fetchone()[0]
    for name, note in (("old", first), ("new", full.note)):
        (tmp_path / name).write_bytes(kept(note).encode())
    done = run("consistency", tmp_path / "old", tmp_path / "new", "--db", full.path, "--trust", VKEY)
    assert (done.exit_code, done.output) == (0, "consistent: the 300 entries begin with the 100\n")
    assert run("verify", "--db", full.path, "--since", tmp_path / "old", "--trust", VKEY).exit_code == 0


def test_a_log_rewritten_with_the_signing_key_contradicts_what_clients_kept(full, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = setup.Log(elsewhere)
    other.fill(300, row=lambda organization, seq: setup.row_of(organization, seq, note="x" if seq == 9 else ""))
    kept = {"entries": [{"seq": 42, "leaf_hash": full.rows()[41][8].hex()}], "checkpoint": full.note}
    (tmp_path / "kept").write_text(json.dumps(kept))

    checked = run("check-receipt", tmp_path / "kept", "--db", other.path, "--trust", VKEY)

    assert (checked.exit_code, checked.output) == (
        1,
        "TAMPERED: the log does not have the root that was shown, signed for 300 entries\n",
    )
    other.execute("DELETE FROM audit_entries WHERE seq > 50")
    assert "truncated: 50 of the 300" in run("check-receipt", tmp_path / "kept", "--db", other.path).output
    other.connection.close()


def test_proving_works_without_tiles_and_refuses_what_is_not_there_or_not_whole(full):
    full.execute("DELETE FROM audit_tiles")
    assert run("prove", "--db", full.path, "--seq", 42, "--trust", VKEY).exit_code == 0
    assert run("prove", "--db", full.path, "--seq", 301, "--trust", VKEY).exit_code == 2
    assert run("prove", "--db", full.path, "--seq", 42, "--organization", "globex").exit_code == 2
    full.execute("UPDATE audit_entries SET body = x'00' WHERE seq = 42")
    assert run("prove", "--db", full.path, "--seq", 42, "--trust", VKEY).exit_code == 1


def test_two_checkpoints_are_compared(full, tmp_path):
    notes = dict(full.execute("SELECT size, note FROM audit_checkpoints").fetchall())
    for size, note in notes.items():
        (tmp_path / str(size)).write_text(note)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    fork = setup.Log(elsewhere)
    fork.append([setup.row_of("acme", seq, note="other") for seq in range(1, 101)])
    fork.seal()
    (tmp_path / "fork").write_text(fork.note)

    def compare(old, new, *more):
        return run("consistency", tmp_path / str(old), tmp_path / str(new), "--trust", VKEY, *more).exit_code

    assert compare(100, 300, "--db", full.path) == 0
    assert compare(300, 100, "--db", full.path) == 0
    assert compare(100, 100) == 0
    assert compare(100, 300) == 2
    assert compare("fork", 100) == 1
    assert compare("fork", 300, "--db", full.path) == 1
    full.execute("DELETE FROM audit_tiles")
    assert compare(100, 300, "--db", full.path) == 0
    assert compare("fork", 300, "--db", full.path) == 1
    full.execute("UPDATE audit_entries SET body = x'00' WHERE seq = 42")
    assert compare(100, 300, "--db", full.path) == 2
    (tmp_path / "bad").write_text(notes[100].replace("100", "101"))
    assert compare("bad", 300, "--db", full.path) == 2
    fork.connection.close()


def only_cryptography(folder):
    """A folder that holds cryptography and what it needs, and nothing else of the installation."""
    packages = Path(sysconfig.get_paths()["purelib"])
    for wanted in ("cryptography", "cffi", "pycparser"):
        if (packages / wanted).exists():
            (folder / wanted).symlink_to(packages / wanted)
    for library in packages.glob("_cffi_backend*"):
        (folder / library.name).symlink_to(library)
    return folder


def test_the_stand_alone_verifier_needs_nothing_but_cryptography(full, tmp_path):
    made = tmp_path / "verifier.py"
    assert run("verifier", "--out", made).exit_code == 0
    packages = tmp_path / "packages"
    packages.mkdir()
    start = (
        "import sys, runpy; sys.path.append(sys.argv.pop(1)); sys.argv.pop(0); "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )

    def alone(*arguments):
        return subprocess.run(
            [sys.executable, "-I", "-S", "-c", start, only_cryptography_folder, made, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
        )

    only_cryptography_folder = str(only_cryptography(packages))
    done = alone("verify", "--db", full.path, "--trust", VKEY, "--witness", full.witness)
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "acme: INTACT: 300 entries, 300 covered by a trusted signature\n",
        "",
    )
    assert run("export", "--db", full.path, "--out", tmp_path / "x.jsonl").exit_code == 0
    assert alone("verify", "--export", tmp_path / "x.jsonl", "--trust", VKEY).returncode == 0
    proved = alone("prove", "--export", tmp_path / "x.jsonl", "--seq", 7, "--trust", VKEY)
    (tmp_path / "receipt").write_text(proved.stdout)
    assert alone("check-receipt", tmp_path / "receipt", "--trust", VKEY).returncode == 0
    (tmp_path / "note").write_text(full.note)
    assert alone("consistency", tmp_path / "note", tmp_path / "note", "--trust", VKEY).returncode == 0
    assert alone("verify", "--db", full.path).returncode == 2
    assert alone("verify", "--db", "postgresql://127.0.0.1:1/x", "--trust", VKEY).returncode == 2
    full.execute("DELETE FROM audit_entries WHERE seq = 5")
    assert alone("verify", "--db", full.path, "--trust", VKEY).returncode == 1


def test_the_offline_commands_import_nothing_of_the_server():
    """Not even where it is installed: an auditor's result must not depend on the code that is audited."""
    code = "import sys, metaqore.cli.audit; print(sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(json.loads(done.stdout.replace("'", '"')))
    assert not loaded & {"sqlalchemy", "flask", "celery", "kombu", "redis", "msgspec", "api", "workers"}
    code = "import sys, metaqore.cli.audit; print(*[name for name in sys.modules if name.startswith('metaqore.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert {name.split(".")[1] for name in done.stdout.split()} == {"audit", "cli", "errors"}


def test_the_stand_alone_verifier_is_the_same_each_time_and_refuses_a_clash_of_names(monkeypatch):
    assert generate() == generate()
    assert "metaqore.audit" not in generate().replace("# metaqore.audit", "").replace("``metaqore.audit", "")
    monkeypatch.setattr(standalone, "MODULES", ("metaqore.audit.merkle", "metaqore.audit.merkle"))
    with pytest.raises(ValueError, match="CompactRange"):
        generate()
