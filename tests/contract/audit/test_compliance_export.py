"""Decisions leave as the known file: whole, private, recorded, and as they stand in the log."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from metaqore.audit.compliance import write_export
from metaqore.cli.main import main
from metaqore.errors import Unavailable
from metaqore.store.engine import Database
from metaqore.store.views import compliance
from tests.contract.pipeline import ORGANIZATION
from tests.contract.test_security_policy import Governed

NAME = f"compliance_audit_{ORGANIZATION}.jsonl"


@pytest.fixture
def governed(database: Database) -> Iterator[Governed]:
    made = Governed(database)
    yield made
    made.engine.database.close()


def ran(database: Database, directory: Path, *arguments: str) -> str:
    """Run a command as an operator would; return what it printed."""
    environ = {"METAQORE_STORAGE_DSN": database.dsn, "METAQORE_ORGANIZATION": ORGANIZATION,
               "METAQORE_DATA_DIR": str(directory.parent / "data"), "USER": "op"}  # fmt: skip
    result = CliRunner().invoke(main, ["compliance", *arguments, "--log-dir", str(directory)], env=environ)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def exports(governed: Governed) -> list[dict[str, Any]]:
    found = governed.sql("SELECT body FROM audit_entries WHERE tag = 'audit:export:made' ORDER BY seq")
    return [json.loads(bytes(row[0])) for row in found]


def test_what_was_decided_is_exported_reported_and_the_export_is_recorded(
    governed: Governed, database: Database, tmp_path: Path
) -> None:
    governed.do("llm.generate", prompt="Say hello.", provider="mock", agent_name="coder", task_type="code")
    governed.do("llm.generate", prompt="Say hello.", provider="nowhere", agent_name="coder", task_type="code")
    governed.do("payload.assess", content="Paris.")

    done = ran(database, tmp_path / "log", "export")

    path = tmp_path / "log" / NAME
    assert done == f"wrote {path}: 3 events\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == [NAME]
    events = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [list(event) for event in events] == [["timestamp", "event_type", "organization", "payload"]] * 3
    assert [event["event_type"] for event in events] == ["routing_decision", "veto", "routing_decision"]
    allowed, vetoed, free = [event["payload"] for event in events]
    assert list(allowed)[:6] == ["agent_name", "task_type", "sensitivity", "provider", "policy", "reason"]
    assert (allowed["agent_name"], allowed["provider"], allowed["reason"]) == ("coder", "mock", "allowed")
    assert vetoed["veto"]["policy_violated"] == vetoed["veto"]["details"]["policy"] == "default_local_first"
    assert (vetoed["provider"], vetoed["task_type"]) == ("nowhere", "code")
    assert "nowhere" in vetoed["veto"]["reason"]
    assert [*allowed][6:] == ["selected_provider", "policy_decision", "policy_name", "data_residency", "metadata"]
    assert (allowed["selected_provider"], allowed["policy_decision"], allowed["data_residency"]) == (
        "mock", "allowed", "any"
    )  # fmt: skip
    assert (vetoed["selected_provider"], vetoed["policy_decision"]) == (None, "denied")
    assert (free["agent_name"], free["reason"]) == ("auto", "auto_recommendation")
    (entry,) = exports(governed)
    assert entry["actor"] == "op"
    digest = "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    assert entry["about"]["details"] == {"digest": digest, "events": 3, "format": "jsonl"}
    report = ran(database, path.parent, "report", "--organization", ORGANIZATION)
    assert "Total Events: 3\n\nEvents by Type\n  - routing_decision: 2\n  - veto: 1\n" in report


def test_each_line_names_its_entry_and_chunks_lose_none(governed: Governed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compliance, "_CHUNK", 3)
    for number in range(7):
        governed.do("payload.assess", content=f"Paris {number}.")

    decided = list(compliance.ComplianceViews(governed.database).decided(ORGANIZATION))

    rows = governed.sql("SELECT seq, leaf_hash FROM audit_entries WHERE tag LIKE 'security:decision:%' ORDER BY seq")
    assert len(rows) == 7
    assert [(one.seq, one.leaf_hash) for one in decided] == [(row[0], bytes(row[1]).hex()) for row in rows]
    assert list(compliance.ComplianceViews(governed.database).decided("another")) == []


def test_an_export_that_cannot_be_recorded_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("old")

    def refused(_events: int, _digest: str) -> None:
        raise Unavailable("the database is away")

    with pytest.raises(Unavailable, match="away"):
        write_export(tmp_path, ORGANIZATION, [], refused)

    assert (tmp_path / NAME).read_text() == "old"
    assert os.listdir(tmp_path) == [NAME]
