"""Failed logins in the audit log: all of them counted, few of them written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from api.failed_logins import WINDOW_MS, FailedLogins
from metaqore.store.engine import Database
from metaqore.store.unit_of_work import SqlStore

START = 1_800_000_000_000


class Logins(FailedLogins):
    """Over a real database, with a clock of its own, written when the test says so."""

    def __init__(self, dsn: str) -> None:
        self.database = Database(dsn)
        self.now = START
        super().__init__(SqlStore(self.database), "home", lambda: self.now)

    def _run(self) -> None:
        """Nothing is written behind the test's back."""

    def entries(self) -> list[dict[str, object]]:
        with self.database.read() as connection:
            rows = connection.exec_driver_sql("SELECT body FROM audit_entries ORDER BY organization, seq").fetchall()
        return [json.loads(row[0]) for row in rows]


def test_a_flood_is_counted_whole_in_one_entry_a_minute(sqlite_dsn: str, tmp_path: Path) -> None:
    logins = Logins(sqlite_dsn)
    logins.note("acme", "key_1", "wrong_secret")
    assert logins.write() == 1
    for _ in range(10_000):
        logins.now += 5
        logins.note("acme", "key_1", "wrong_secret")
        if logins.now % 1000 == 0:
            assert logins.write() == 0
    logins.now = START + WINDOW_MS
    assert logins.write() == 1
    found = logins.entries()
    assert [(e["organization"], e["tag"], e["about"]["subject"], e["about"]["outcome"]) for e in found] == [
        ("acme", "security:login:failed", "key_1", "wrong_secret")
    ] * 2
    assert [e["about"]["details"]["count"] for e in found] == [1, 10_000]
    assert found[1]["about"]["details"] == {"count": 10_000, "since": START + 5, "until": START + 50_000}


def test_keys_that_do_not_exist_are_nobodys_and_are_not_named(sqlite_dsn: str) -> None:
    logins = Logins(sqlite_dsn)
    for reason in ("unknown_key", "malformed", "unknown_key"):
        logins.note(None, None, reason)
    logins.write()
    assert {(e["organization"], e["about"].get("subject"), e["about"]["outcome"]) for e in logins.entries()} == {
        ("home", None, "unknown_key"), ("home", None, "malformed")
    }  # fmt: skip


def test_more_keys_than_are_counted_apart_are_counted_together(sqlite_dsn: str) -> None:
    logins = Logins(sqlite_dsn)
    for number in range(3000):
        logins.note("acme", f"key_{number}", "revoked")
    logins.write()
    found = logins.entries()
    assert len(found) == 1001
    assert sum(e["about"]["details"]["count"] for e in found) == 3000


def test_what_could_not_be_written_is_kept(sqlite_dsn: str) -> None:
    logins = Logins(sqlite_dsn)
    logins.note("acme", "key_1", "expired")
    store, logins._store = logins._store, None  # type: ignore[assignment]
    with pytest.raises(AttributeError):
        logins.write()
    logins._store = store
    logins.note("acme", "key_1", "expired")
    logins.write()
    assert [e["about"]["details"]["count"] for e in logins.entries()] == [2]
