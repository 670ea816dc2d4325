"""A witness of its own: it follows a log that grows, and refuses one that was rolled back, forked or rewritten."""

import json

import pytest

from metaqore.audit.anchors import Trust
from metaqore.audit.checkpoint import Signer
from metaqore.audit.findings import Attack
from metaqore.audit.observer import DatabaseLogs, Refused, Witness, look
from metaqore.audit.seal import Frontier
from tests import audit_log as setup


def seen(log, path, trust=None):
    """What a witness started anew says after one look."""
    logs = DatabaseLogs(str(log.path))
    try:
        return look(logs, Witness(path, trust or log.trust), setup.T0)
    finally:
        logs.close()


def test_it_remembers_what_continues_and_nothing_twice(log, tmp_path):
    path = tmp_path / "elsewhere.jsonl"
    log.fill(100)
    assert seen(log, path) == ["acme: 100 entries"]
    assert seen(log, path) == []
    log.fill(700)
    assert seen(log, path) == ["acme: 700 entries"]
    assert len(path.read_text().splitlines()) == 2


def test_a_rolled_back_log_is_refused_and_the_evidence_kept(log, tmp_path):
    path = tmp_path / "elsewhere.jsonl"
    log.fill(200)
    seen(log, path)
    log.execute("DELETE FROM audit_checkpoints WHERE size > 64")
    with pytest.raises(Refused) as refused:
        seen(log, path)
    assert refused.value.attack is Attack.ROLLED_BACK
    evidence = json.loads((tmp_path / "elsewhere.jsonl.refused").read_text())
    assert evidence["old"].split("\n")[1] == "200"
    assert evidence["new"].split("\n")[1] == "64"


@pytest.mark.parametrize("size", [200, 300])
def test_a_log_rewritten_with_its_own_key_is_refused(log, tmp_path, size):
    path = tmp_path / "elsewhere.jsonl"
    log.fill(200)
    seen(log, path)
    log.execute("DELETE FROM audit_entries")
    log.execute("DELETE FROM audit_tiles")
    log.execute("DELETE FROM audit_checkpoints")
    log.frontier, log.size = Frontier(), 0
    log.fill(size, row=lambda organization, seq: setup.row_of(organization, seq, note="another story"))
    with pytest.raises(Refused) as refused:
        seen(log, path)
    assert refused.value.attack is Attack.FORKED


def test_a_stranger_s_key_is_refused(log, tmp_path):
    log.fill(50)
    stranger = Signer.from_seed(setup.LOG_NAME, b"\x55" * 32)
    with pytest.raises(Refused):
        seen(log, tmp_path / "elsewhere.jsonl", Trust((stranger.vkey,)))


def test_a_log_that_is_gone_is_missed(log, tmp_path):
    path = tmp_path / "elsewhere.jsonl"
    log.fill(50)
    seen(log, path)
    witness = Witness(path, log.trust)
    assert witness.missing(["acme"]) == []
    assert witness.missing([]) == [f"{setup.LOG_NAME}/acme"]
