"""``metaqore stops``: the kill switch of whoever looks after the machine."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from metaqore.cli.main import main
from metaqore.store.engine import Database
from tests.contract.pipeline import ORGANIZATION
from tests.contract.test_security_policy import Governed


@pytest.fixture
def governed(database: Database) -> Governed:
    return Governed(database)


def test_a_stop_from_the_command_line_holds_for_the_next_decision_and_is_audited(governed: Governed) -> None:
    environ = {"METAQORE_STORAGE_DSN": governed.database.dsn, "METAQORE_ORGANIZATION": ORGANIZATION,
               "METAQORE_PRIVACY_KEY_FILE": str(governed.engine.settings.privacy_key_path)}  # fmt: skip

    def ran(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(main, ["stops", *arguments], env=environ)
        assert result.exit_code == code, (result.output, result.exception)
        return str(result.output)

    def asked() -> Any:
        return governed.do("llm.generate", "bob", prompt="Which maintenance type is this? fix a bug", provider="mock")

    assert asked()["verdict"] == "approved"
    stop = ("set", "provider", "mock", "--reason", "it leaks", "--by", "op", "--quarantine-since", "2026-01-02")
    assert "provider mock is stopped" in ran(*stop)
    assert "already, by op: it leaks" in ran(*stop, code=1)
    [listed] = [json.loads(line) for line in ran("list", "--json").splitlines() if '"subject"' in line]
    assert (listed["subject"], listed["set_by"]) == ("mock", "op")
    assert "it leaks" in ran("list")
    assert asked()["result"]["decision"]["rules"] == ["provider.stopped"]
    [(quarantine,)] = governed.sql("SELECT principal FROM requests WHERE kind = 'artifact.quarantine'")

    assert "goes on" in ran("lift", "provider", "mock", "--by", "op")
    assert "is not stopped" in ran("lift", "provider", "mock", code=1)
    assert asked()["verdict"] == "approved"
    noted = governed.sql("SELECT tag, actor FROM audit_entries WHERE tag LIKE 'security:stop:%' ORDER BY seq")
    assert (quarantine, noted) == ("op", [("security:stop:set", "op"), ("security:stop:lifted", "op")])
    assert "nothing is stopped" in ran("list")
