"""The operator's and the auditor's commands together, over a database of a finished run."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from metaqore.audit.vault import Vault
from metaqore.cli.main import main
from metaqore.clock import now_ms
from metaqore.store.engine import Database
from tests.contract.pipeline import ORGANIZATION, Pipeline


def test_seal_rotate_verify_witness_export_and_erase(
    sqlite_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    for name, value in (("STORAGE_DSN", sqlite_dsn), ("DATA_DIR", str(data)), ("ORGANIZATION", ORGANIZATION),
                        ("AUDIT_LOG_NAME", "log.example")):  # fmt: skip
        monkeypatch.setenv(f"METAQORE_{name}", value)
    database = Database(sqlite_dsn)
    database.vault = Vault(data / "privacy.key")
    pipeline = Pipeline(database, now_ms)  # type: ignore[arg-type]
    project = pipeline.project()
    pipeline.declare(project, "a", "planted")
    pipeline.executor.drain("psmp")
    trust, witness = str(data / "audit" / "signing.key.pub"), str(data / "audit" / "witness.jsonl")
    kept = str(tmp_path / "kept.jsonl")
    verify = ["audit", "verify", "--db", sqlite_dsn, "--trust", trust, "--witness", witness]
    watch = ["audit", "witness", "--db", sqlite_dsn, "--file", kept, "--trust", trust, "--once"]

    assert "sealed 4 entries" in run("audit", "seal")
    assert f"{ORGANIZATION}: INTACT: 4 entries" in run(*verify)
    assert f"{ORGANIZATION}: 4 entries" in run(*watch)
    assert len(run("audit", "rotate-key").splitlines()) == 2
    run("audit", "seal")
    # Two files of policies are named in the log before the first decision by them.
    assert "10 entries" in run(*watch)
    run("privacy", "export", "agent", "--out", str(tmp_path / "export.json"))
    assert "planted" in (tmp_path / "export.json").read_text()
    hold = run("privacy", "hold", "agent", "--reason", "case 12").strip()
    assert "hold" in run("privacy", "erase", "agent", "--yes", code=1)
    assert hold in run("privacy", "holds")
    run("privacy", "release", hold)
    assert "requests: 200 days" in run("privacy", "retention", "--class", "requests", "--days", "200")
    erased = run("privacy", "erase", "agent", "--yes")
    assert "no broker runs" in erased
    run("audit", "seal")
    assert "payload erased" in run(*verify)
    assert "agent was erased" in run("privacy", "erase", "agent", "--yes"), "the broker is still to be cleaned"
    assert "nothing is kept of nobody" in run("privacy", "erase", "nobody", "--yes", code=1)
    pipeline.change("DELETE FROM audit_checkpoints WHERE size > 4")
    assert "rolled_back" in run(*watch, code=1)
    database.close()


def run(*arguments: str, code: int = 0) -> str:
    """Run a command; return what it printed."""
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == code, (arguments, result.output, result.exception)
    return result.output
