from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from metaqore.cli.main import main
from metaqore.security.keys import hash_secret, parse
from metaqore.store.engine import Database
from metaqore.store.views.security import SecurityViews


@pytest.fixture
def command(sqlite_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run ``metaqore keys …`` and return what it prints."""
    monkeypatch.setenv("METAQORE_STORAGE_DSN", sqlite_dsn)
    monkeypatch.setenv("METAQORE_DATA_DIR", str(tmp_path))

    def run(*arguments: str, code: int = 0) -> str:
        answer = CliRunner().invoke(main, ["keys", *arguments])
        assert answer.exit_code == code, answer.output
        return answer.output.strip()

    return run


def test_a_key_is_created_listed_rotated_and_revoked(command: Any, sqlite_dsn: str) -> None:
    first = parse(
        command("create", "--principal", "ann", "--kind", "person", "--role", "reviewer", "--expires", "2099-01-31")
    )
    assert first is not None
    listed = json.loads(command("list", "--json"))
    assert (listed["id"], listed["principal"]) == (first.id, "ann")
    assert "conflicts:resolve" in listed["scopes"]
    assert first.secret not in json.dumps(listed)

    second = parse(command("rotate", first.id, "--overlap", "60"))
    assert second is not None and second.id == first.id
    database = Database(sqlite_dsn)
    stored = SecurityViews(database).principal(first.id)
    assert stored is not None and stored.previous_until is not None
    assert stored.proves(hash_secret(second.secret), 0)
    assert stored.proves(hash_secret(first.secret), stored.previous_until - 1)
    assert not stored.proves(hash_secret(first.secret), stored.previous_until)

    assert "was revoked at" in command("revoke", first.id)
    assert "revoked" in command("list")
    assert "is revoked and gets no new secret" in command("rotate", first.id, code=1)
    database.close()


def test_a_key_keeps_its_environment_through_a_rotation(command: Any) -> None:
    text = command("create", "--principal", "ann", "--role", "reviewer", "--test")
    assert text.startswith("mq_test_")
    assert json.loads(command("list", "--json"))["environment"] == "test"
    assert command("rotate", text.split("_")[2]).startswith("mq_test_")


@pytest.mark.parametrize("name", ["", "a\nb", "a\x1b[31m", "a\u202eb", "x" * 201])
def test_a_principal_has_a_name_that_can_be_read(command: Any, name: str) -> None:
    assert "principal: 1 to 200 characters" in command("create", "--principal", name, "--role", "agent", code=1)


def test_until_when_a_key_is_valid_stands_in_the_list_whole(command: Any) -> None:
    command("create", "--principal", "ann", "--role", "agent", "--expires", "2099-01-31")
    assert "valid until 2099-01-31T00:00:00.000Z" in command("list")


def test_a_key_that_may_do_nothing_or_does_not_exist_is_said_so(command: Any) -> None:
    assert "needs --scope or --role" in command("create", "--principal", "ann", code=2)
    assert "key 0123 does not exist" in command("revoke", "0123", code=1)
    assert "must be in the future" in command(
        "create", "--principal", "a", "--role", "agent", "--expires", "2020-01-01", code=1
    )
