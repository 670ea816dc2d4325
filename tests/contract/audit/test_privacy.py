"""Erasure, access, holds and retention over both databases: what is gone is gone, and the log stays whole."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from metaqore.audit.database import sqlite3
from metaqore.audit.entry import commit_to
from metaqore.cli.privacy_desk import Privacy
from metaqore.embedded.broker import Broker
from metaqore.errors import Conflict, InvalidInput, NotFound, Unavailable
from metaqore.messages import Submission
from metaqore.settings import Settings, load
from metaqore.store.engine import Database
from metaqore.store.sealed import open_whole
from tests.contract.audit.test_sealer import KEY
from tests.contract.pipeline import ORGANIZATION, Pipeline

PLANTED = "planted-4711-canary"


class Kept(Pipeline):
    """A pipeline that seals payloads, and the desk that erases them."""

    def __init__(self, database: Database, folder: Path, redis_url: str = "redis://127.0.0.1:1/0") -> None:
        super().__init__(database)
        self.settings = settings_of(database, folder, redis_url)
        self.desk = Privacy(self.settings, ORGANIZATION, by="officer")
        self.database.vault = self.desk._store.database.vault

    def bring_in(self, project: str, subject: str | None = None, principal: str = "ann", name: str = "a") -> str:
        """Have content admitted, one more version blocked, and one request left open."""
        texts = [f"{PLANTED} one", f"{PLANTED} two"]
        ids = []
        for text in texts:
            payload = {"type": "doc", "name": name, "content": {"text": text}, "metadata": {"note": PLANTED}}
            asked = Submission(organization=ORGANIZATION, project=project, principal=principal, kind="artifact.declare",
                               payload=payload, subject=subject)  # fmt: skip
            ids += self.intake.submit([asked]).ids
            self.settle_all()
        return str(ids[0])


def settings_of(database: Database, folder: Path, redis_url: str) -> Settings:
    return load(
        {"storage_dsn": database.dsn, "redis_url": redis_url, "data_dir": str(folder / "data"),
         "organization": ORGANIZATION}, environ={},
    )  # fmt: skip


@pytest.fixture
def kept(database: Database, tmp_path: Path) -> Iterator[Kept]:
    made = Kept(database, tmp_path)
    yield made
    made.check_sequences()
    made.check_recorded()
    made.desk.close()


def everything(kept: Kept) -> str:
    """Every text of every table, but for the name of the log's own."""
    found = []
    with kept.database.read() as connection:
        if kept.database.is_sqlite:
            sql = "SELECT name FROM sqlite_master WHERE type = 'table'"
        else:
            sql = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        names = [row[0] for row in connection.exec_driver_sql(sql)]
        for name in names:
            found += [str(row) for row in connection.exec_driver_sql(f"SELECT * FROM {name}")]
    return "\n".join(found)


def test_a_payload_is_sealed_and_its_entry_commits_to_it(kept: Kept) -> None:
    request = kept.bring_in(kept.project())
    [(stored,)] = kept.sql("SELECT payload FROM requests WHERE id = ?", request)
    assert PLANTED not in stored
    with kept.database.read() as connection:
        salt, payload = open_whole(kept.database, connection, stored)
    assert json.loads(payload)["content"] == {"text": f"{PLANTED} one"}
    [(body,)] = kept.sql(
        "SELECT body FROM audit_entries WHERE request_id = ? AND tag = 'requests:request:accepted'", request
    )
    assert json.loads(bytes(body))["about"]["commitment"] == commit_to(payload, salt)
    assert commit_to(payload, b"\0" * 32) != commit_to(payload, salt)


@pytest.mark.parametrize("subject", ["customer-9", None])
def test_after_erasure_nothing_of_the_subject_is_left_and_the_log_is_whole(kept: Kept, subject: str | None) -> None:
    project = kept.project()
    kept.bring_in(project, subject, name="theirs")
    other = kept.intake.submit([kept.submission("artifact.declare", project, type="doc", name="x", content="stays")])
    kept.settle_all()
    before = kept.sql("SELECT seq, body FROM audit_entries ORDER BY seq")
    assert PLANTED in everything(kept)

    kept.desk.run("subject.erase", subject or "ann", basis="art17")

    assert PLANTED not in everything(kept)
    assert kept.sql("SELECT seq, body FROM audit_entries ORDER BY seq")[: len(before)] == before
    [(last,)] = kept.sql("SELECT body FROM audit_entries WHERE tag = 'privacy:subject:erased'")
    about = json.loads(bytes(last))["about"]
    assert about["subject"].startswith("sub_")
    assert about["details"]["versions"] == 1
    assert (subject or "ann") not in json.dumps(about)
    assert [row[0] for row in kept.sql("SELECT content FROM artifact_versions ORDER BY content")] == ['"stays"', "null"]
    assert kept.row(other.ids[0])["state"] == "succeeded"
    with pytest.raises(NotFound):
        kept.desk.run("subject.erase", subject or "ann", basis="art17")


def test_an_open_request_of_an_erased_subject_ends_as_cancelled(kept: Kept) -> None:
    project = kept.project()
    asked = Submission(organization=ORGANIZATION, project=project, principal="ann", kind="artifact.declare",
                       payload={"type": "doc", "name": "a", "content": PLANTED})  # fmt: skip
    request = kept.intake.submit([asked]).ids[0]
    kept.desk.run("subject.erase", "ann", basis="art17")
    kept.settle_all()
    assert kept.row(request)["state"] == "cancelled"
    tags = [row[0] for row in kept.sql("SELECT tag FROM audit_entries WHERE seq > 4 ORDER BY seq")]
    assert "requests:request:cancelled" in tags
    again = kept.intake.submit([asked]).ids[0]
    kept.settle_all()
    assert kept.row(again)["state"] == "succeeded"


def test_an_access_export_has_everything_readable_and_is_recorded(kept: Kept) -> None:
    kept.bring_in(kept.project(), "customer-9")
    found = kept.desk.export("customer-9")
    assert [row["payload"]["content"]["text"] for row in found["requests"]] == [f"{PLANTED} one", f"{PLANTED} two"]
    assert found["versions"][0]["content"] == {"text": f"{PLANTED} one"}
    assert kept.sql("SELECT count(*) FROM audit_entries WHERE tag = 'privacy:subject:exported'")[0][0] == 1


@pytest.mark.parametrize("on", ["customer-9", None])
def test_on_a_legal_hold_nothing_is_erased_until_it_is_released(kept: Kept, on: str | None) -> None:
    kept.bring_in(kept.project(), "customer-9")
    hold = kept.desk.run("hold.place", on, reason="case 12")["id"]
    with pytest.raises(Conflict, match=hold):
        kept.desk.run("subject.erase", "customer-9", basis="art17")
    assert [row["id"] for row in kept.desk.holds()] == [hold]
    kept.desk.run("hold.release", hold=hold)
    with pytest.raises(NotFound):
        kept.desk.run("hold.release", hold=hold)
    kept.desk.run("subject.erase", "customer-9", basis="art17")


def test_retention_lets_go_what_is_old_and_not_on_hold_and_never_before_its_floor(kept: Kept) -> None:
    project = kept.project()
    kept.bring_in(project, "held", name="h")
    kept.bring_in(project, "free", name="f")
    kept.desk._executor.clock = kept.clock
    kept.desk.run("hold.place", "held", reason="case 12")
    with pytest.raises(InvalidInput, match="183"):
        kept.desk.run("retention.save", **{"class": "requests", "days": 182})
    kept.desk.run("retention.save", **{"class": "requests", "days": 200})
    kept.clock.advance(199 * 86_400)
    kept.desk.run("retention.apply")
    assert kept.sql("SELECT count(*) FROM requests WHERE payload = '~erased~'")[0][0] == 0
    kept.clock.advance(86_400 + 60)
    kept.desk.run("retention.apply")
    left = {row[0] for row in kept.sql("SELECT subject FROM requests WHERE payload = '~erased~'")}
    assert left >= {"free"}
    assert "held" not in left
    assert kept.sql("SELECT count(*) FROM audit_entries WHERE tag = 'privacy:retention:applied'")[0][0] == 1


def test_a_planted_text_is_in_no_file_of_database_and_broker_after_erasure(
    sqlite_dsn: str, tmp_path: Path, valkey: Broker
) -> None:
    from metaqore.adapters.authentic import Authentic
    from metaqore.adapters.redis_results import RedisResults

    database = Database(sqlite_dsn)
    kept = Kept(database, tmp_path, valkey.url)
    kept.executor.results = RedisResults(valkey.url, Authentic(lambda: bytes(32)), expires_s=3600)
    kept.bring_in(kept.project(), "customer-9")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert holding(files) != []

    lines = [*kept.desk.erase("customer-9", "art17", valkey.url)]

    assert "rewrote the database" in lines[-1]
    assert holding([path for path in tmp_path.rglob("*") if path.is_file()]) == []
    kept.desk.close()
    database.close()


def test_an_erasure_without_a_broker_is_repeated_when_one_runs(sqlite_dsn: str, tmp_path: Path, valkey: Broker) -> None:
    from metaqore.adapters.cleaning import Cleaner
    from metaqore.adapters.redis_results import client
    from metaqore.queues import result_key

    database = Database(sqlite_dsn)
    kept = Kept(database, tmp_path, "")
    project = kept.project()
    for number in (9, 10):
        # The answer of a model call, as the result backend would keep it for an hour.
        result = kept.bring_in(project, f"customer-{number}", name=f"n{number}")
        client(valkey.url, timeout_s=5.0).set(result_key(result), f"the answer {PLANTED}")

    lines = [*kept.desk.erase("customer-9", "art17", None)]
    assert "no broker runs" in lines[-1] and any("rewrote the database" in line for line in lines)
    assert states(kept) == [(True, False)]
    assert holding(sorted((tmp_path / "valkey").rglob("*.aof"))) != [], "the broker's file still has it"
    kept.desk.run("subject.erase", "customer-10", basis="art17")
    assert states(kept) == [(True, False), (False, False)]

    # The system worker finds the broker; or somebody runs the command again, which asks nothing and erases nothing.
    gone: list[str | None] = [None]
    cleaner = Cleaner(kept.desk._executor, database, lambda: gone[0])
    assert cleaner.run() == 1, "the files of the second one, without a broker"
    assert kept.desk.belongings("customer-9") is None
    again = [*kept.desk.erase("customer-9", "art17", valkey.url)]
    assert again[0].startswith("forgot ") and not any(line.startswith("erased ") for line in again)

    assert states(kept) == [(True, True), (True, True)]
    assert holding([path for path in tmp_path.rglob("*") if path.is_file()]) == []
    assert cleaner.run() == 0
    with pytest.raises(NotFound):
        kept.desk.belongings("customer-9")
    tags = kept.sql("SELECT count(*) FROM audit_entries WHERE tag = 'privacy:subject:cleaned'")
    assert tags[0][0] == 4
    kept.check_recorded()
    kept.desk.close()
    database.close()


def test_files_that_a_reader_holds_on_to_are_not_called_clean(sqlite_dsn: str) -> None:
    database, reader = Database(sqlite_dsn), Database(sqlite_dsn)
    pipeline = Pipeline(database)
    pipeline.project()
    with reader.snapshot() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM requests").fetchall()
        pipeline.project(name="another")
        with pytest.raises(Unavailable, match="readers held on"):
            database.compact(rewrite=False, wait_s=0.2)
    assert database.compact(rewrite=False, wait_s=20)
    reader.close()
    database.close()


def states(kept: Kept) -> list[tuple[bool, bool]]:
    """For each erasure, the oldest first: whether it has reached the files, and the broker."""
    rows = kept.sql("SELECT files_at, results_at FROM erasures ORDER BY id")
    return [(files is not None, results is not None) for files, results in rows]


@pytest.mark.parametrize("rewritten", [True, False], ids=["a small file", "a file too large to be rewritten"])
def test_what_retention_lets_go_is_in_no_file_of_the_database(
    rewritten: bool, sqlite_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from metaqore.adapters import cleaning
    from metaqore.adapters.cleaning import Cleaner
    from metaqore.requests.schedules import Schedules

    if not rewritten:
        monkeypatch.setattr(cleaning, "_QUICK_BYTES", 0)
    database = Database(sqlite_dsn)
    kept = Kept(database, tmp_path)
    kept.bring_in(kept.project(), "customer-9")
    call = ("INSERT INTO llm_calls (id, organization, principal, request_id, decision_id, provider, model, label, "
            "prefix_hash, state, command, prepared_at) VALUES (?, ?, 'p', ?, 'dec_1', 'x', 'm', 'PUBLIC', '', "
            "'prepared', ?, 1)")  # fmt: skip
    decision = ("INSERT INTO decisions (id, organization, request_id, principal, verdict, label, policy, "
                "policy_digest, body, created_at) VALUES ('dec_1', 'elsewhere', 'r', 'p', 'approved', 'PUBLIC', 'd', "
                "'d', '{}', 1)")  # fmt: skip
    kept.change(decision)
    # Calls are stored in the clear, and rewritten when they are settled.
    for number in range(60):
        kept.change(call, f"call_{number}", ORGANIZATION, f"req_{number}", f'{{"prompt":"{PLANTED} {"x" * 700}"}}')
        kept.change("UPDATE llm_calls SET state = 'settled', settled_at = 2, response = ? WHERE id = ?",
                    f'{{"text":"{PLANTED} {"y" * 300}"}}', f"call_{number}")  # fmt: skip
    kept.desk.run("subject.erase", "customer-9", basis="art17")
    assert holding([path for path in tmp_path.rglob("metaqore.db*") if path.is_file()]) != []

    kept.clock.advance(401 * 86_400)
    kept.desk._executor.clock = kept.clock
    cleaner = Cleaner(kept.desk._executor, database, lambda: None)
    schedules = Schedules(kept.desk._executor, kept.intake, kept.bell, idempotency_days=7,
                          expired=cleaner.after_retention)  # fmt: skip
    with capture_logs() as logs:
        schedules.fire("retain", 86_400.0)

    assert ("expired_content_may_remain" in [line["event"] for line in logs]) is not rewritten
    assert kept.sql("SELECT count(*) FROM llm_calls WHERE command <> '{}'")[0][0] == 0
    assert holding([path for path in tmp_path.rglob("metaqore.db*") if path.is_file()]) == []
    kept.desk.close()
    database.close()


def test_what_lies_in_free_pages_is_overwritten_without_rewriting_the_file(sqlite_dsn: str, tmp_path: Path) -> None:
    database = Database(sqlite_dsn)
    path = Path(sqlite_dsn.removeprefix("sqlite:///"))
    # As it was written and deleted by somebody who overwrote nothing.
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as stranger:
        stranger.execute("PRAGMA secure_delete = OFF").fetchall()
        stranger.execute("CREATE TABLE was (id INTEGER PRIMARY KEY, text TEXT)")
        stranger.execute("BEGIN")
        stranger.executemany("INSERT INTO was VALUES (?, ?)", [(n, f"{PLANTED} " * (n % 400)) for n in range(2000)])
        stranger.execute("DELETE FROM was WHERE id % 2 = 0")
        stranger.execute("DROP TABLE was")
        stranger.execute("COMMIT")
    size = database.size()
    assert size > 4_000_000

    assert database.compact(rewrite=False)

    assert holding([path, path.with_name(path.name + "-wal")]) == []
    assert database.size() < size + 100_000, "nothing was added to speak of"
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        assert connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'free_pages'").fetchall() == []
    database.close()


def holding(paths: list[Path]) -> list[Path]:
    return [path for path in paths if PLANTED.encode() in path.read_bytes()]


def test_a_checkpoint_of_before_an_erasure_still_verifies(kept: Kept, tmp_path: Path) -> None:
    from metaqore.audit.anchors import Trust
    from metaqore.audit.database import open_database
    from metaqore.audit.sealer import Sealer
    from metaqore.audit.verify import Options, verify
    from metaqore.audit.witness import WitnessFile

    witness = tmp_path / "witness.jsonl"
    sealer = Sealer(kept.store, lambda: [KEY], WitnessFile(witness), owner="one", clock=kept.clock)
    kept.bring_in(kept.project(), "customer-9")
    sealer.run()
    # The desk's clock is the real one; the entries' is behind it by years.
    kept.desk._executor.clock = kept.clock
    kept.desk.run("subject.erase", "customer-9", basis="art17")
    sealer.run()
    source = open_database(kept.database.dsn)
    [verdict] = verify(source, Options(Trust((KEY.vkey,)), witness))
    source.close()
    assert (verdict.exit_code, verdict.findings) == (0, [])
    assert any("payload erased" in note for note in verdict.notes)


def test_a_wrong_master_key_is_said_and_nothing_is_stored(kept: Kept, tmp_path: Path) -> None:
    from metaqore.audit.vault import Vault
    from metaqore.errors import MetaQoreError

    project = kept.project()
    kept.bring_in(project)
    before: Any = kept.sql("SELECT count(*) FROM requests")
    kept.database.vault = Vault(tmp_path / "other.key")
    with pytest.raises(MetaQoreError, match=r"other\.key"):
        kept.declare(project, "b", principal="ann")
    assert kept.sql("SELECT count(*) FROM requests") == before
