"""A change of the engine's own policy files is in every log once, whoever saw it, on both databases."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from metaqore import bootstrap
from metaqore.errors import Unavailable
from metaqore.messages import Submission
from metaqore.requests.policy_files import PolicyFiles
from metaqore.security.policy_files import Seen
from metaqore.settings import load
from metaqore.store.engine import Database
from tests.contract.pipeline import ORGANIZATION, Bell, Results

CONFIG = Path(__file__).resolve().parents[2] / "config"
OTHER = "other"


class Process:
    """The engine of one process of an installation."""

    def __init__(self, database: Database, config: Path) -> None:
        settings = load(
            {"storage_dsn": database.dsn, "redis_url": "redis://127.0.0.1:1/0", "config_dir": str(config)}, environ={}
        )
        self.engine = bootstrap.build(settings, lambda _: Bell())
        self.engine.executor.results = Results()
        self.policies = self.engine.policies
        # It looks when the test says so.
        self.policies._watch = lambda: None  # type: ignore[assignment]

    def run(self, organization: str, kind: str, **payload: Any) -> Any:
        asked = Submission(
            organization=organization, project=None, principal="ann", kind=kind, payload=payload
        )  # fmt: skip
        return self.engine.executor.run_now(asked).result


class Installation:
    """Several processes over one database and one policy file, for two organizations."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.config = folder / "config"
        shutil.copytree(CONFIG, self.config)
        self.file = self.config / "policies" / "security.yaml"
        self.processes = [Process(database, self.config) for _ in range(3)]
        # Their logs know of no policy file: as if everything had been made by an earlier release.
        executor = self.processes[0].engine.executor
        executor.before, ahead = lambda _batch: None, executor.before
        for organization in (ORGANIZATION, OTHER):
            self.processes[0].run(organization, "project.save", name="p", mode="strict")
        executor.before = ahead

    def write(self, text: str) -> None:
        """Replace the file as an editor does."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(text)
        os.replace(fresh, self.file)

    def look(self) -> None:
        """Have every process look at the file, all at the same time."""
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(lambda process: process.policies.look(), self.processes))

    def noted(self, organization: str = ORGANIZATION) -> list[tuple[str, str, dict[str, Any]]]:
        """Return (tag, policy digest, details) of the entries about the file."""
        sql = "SELECT tag, body FROM audit_entries WHERE organization = ? AND tag LIKE 'security:policy:%' ORDER BY seq"
        with self.database.read() as connection:
            rows = connection.exec_driver_sql(self.database.sql(sql), (organization,)).fetchall()
        bodies = [(tag, json.loads(bytes(body))["about"]) for tag, body in rows]
        return [(tag, about["policy"], about["details"]) for tag, about in bodies if about["subject"] == self.file.name]

    def requests(self) -> int:
        sql = self.database.sql("SELECT count(*) FROM requests WHERE kind = 'policy.reload' AND organization = ?")
        with self.database.read() as connection:
            return int(connection.exec_driver_sql(sql, (ORGANIZATION,)).scalar_one())


@pytest.fixture
def installation(database: Database, tmp_path: Path) -> Iterator[Installation]:
    made = Installation(database, tmp_path)
    yield made
    for process in made.processes:
        process.engine.database.close()


def test_a_change_that_many_processes_see_is_one_entry_in_each_log(installation: Installation) -> None:
    first = installation.processes[0].policies.current().digest
    original = installation.file.read_text()

    installation.write(original.replace("threats: veto", "threats: flag"))
    installation.look()
    second = installation.processes[0].policies.current().digest
    installation.write(original)
    installation.look()

    assert {process.policies.current().digest for process in installation.processes} == {first} != {second}
    for organization in (ORGANIZATION, OTHER):
        assert installation.noted(organization) == [
            ("security:policy:changed", second, {"before": first, "version": 1}),
            ("security:policy:changed", first, {"before": second, "version": 2}),
        ]
    assert installation.requests() == 2


def test_a_process_that_is_late_does_not_repeat_what_the_log_says_already(installation: Installation) -> None:
    early, late, _ = (process.policies for process in installation.processes)
    original, first = installation.file.read_text(), early.current().digest
    seen: list[Seen] = []
    late.record = seen.append
    installation.write(original.replace("threats: veto", "threats: flag"))
    assert (early.look(), late.look()) == (True, True)
    installation.write(original)
    assert early.look() is True

    # What the late process saw is told when the file is another one already.
    assert [installation.processes[1].engine.policy_files.record(one) for one in seen] == [0]
    assert [digest for _, digest, _ in installation.noted()][-1] == first


def test_a_file_that_cannot_be_used_is_one_entry_and_what_held_before_still_decides(
    installation: Installation,
) -> None:
    before = installation.processes[0].policies.current().digest
    installation.write("version: 9\n")

    installation.look()
    assert installation.noted() == [], "an editor may just be half through it"
    installation.look()
    installation.look()

    assert [(tag, digest) for tag, digest, _ in installation.noted()] == [("security:policy:refused", before)]
    assert installation.noted()[0][2]["refused"].startswith("sha256:")
    assert {process.policies.current().digest for process in installation.processes} == {before}


def test_no_policy_holds_before_the_log_says_so(installation: Installation) -> None:
    process = installation.processes[0]
    before, told = process.policies.current().digest, process.policies.record

    def fails(seen: Seen) -> None:
        raise ConnectionError("the database is away")

    process.policies.record = fails
    installation.write(installation.file.read_text().replace("threats: veto", "threats: flag"))
    assert (process.policies.look(), process.policies.current().digest) == (False, before)
    assert process.policies.report()["ok"] is False
    assert "audit log" in process.policies.report()["why"]

    process.policies.record = told
    assert process.policies.look() is True
    assert process.policies.report()["ok"] is True
    assert [details["before"] for _, _, details in installation.noted()] == [before]


def test_what_changed_while_nobody_ran_is_told_by_whoever_starts_next(installation: Installation) -> None:
    files = installation.processes[0].engine.policy_files
    assert files.catch_up() == 4, "two files, two organizations"
    assert files.catch_up() == 0
    first = installation.noted()[0][1]

    installation.write(installation.file.read_text().replace("threats: veto", "threats: flag"))
    started = Process(installation.database, installation.config)
    told = started.engine.policy_files.catch_up(), started.engine.policy_files.catch_up()
    started.engine.database.close()

    assert told == (2, 0)
    assert [details["before"] for _, _, details in installation.noted()] == ["", first]


def test_hosts_with_different_files_do_not_take_turns_for_ever(installation: Installation) -> None:
    executor = installation.processes[0].engine.executor
    mine = Seen(file="psmp.yaml", digest="sha256:mine")
    hosts = [PolicyFiles(executor, partial(list, [seen])) for seen in (mine, changed_digest(mine))]

    told = [host.catch_up() for _ in range(3) for host in hosts]

    assert told == [2, 2, 0, 0, 0, 0]


def changed_digest(seen: Seen) -> Seen:
    return Seen(file=seen.file, digest="sha256:yours")


def decided(installation: Installation, organization: str) -> list[tuple[str, str]]:
    """Return (tag, kind of request) of the entries of a log that are about decisions and policies, in order."""
    sql = (
        "SELECT e.tag, r.kind FROM audit_entries e JOIN requests r ON r.id = e.request_id WHERE e.organization = ? "
        "AND e.tag NOT LIKE 'requests:%' ORDER BY e.seq"
    )
    with installation.database.read() as connection:
        found = connection.exec_driver_sql(installation.database.sql(sql), (organization,)).fetchall()
    return [(row[0], row[1]) for row in found]


def test_the_policy_in_force_is_in_the_log_before_the_first_decision_by_it(installation: Installation) -> None:
    first, second, _ = installation.processes
    before = first.policies.current().digest
    for process in (first, second):
        # Nobody's schedule has fired.
        process.run("newcomers", "project.save", name="p", mode="strict")
        process.run("newcomers", "project.save", name="q", mode="strict")

    told = decided(installation, "newcomers")
    assert [kind for _, kind in told] == ["policy.reload"] * 2 + ["project.save"] * 4
    assert ("security:policy:changed", before, {"before": "", "version": 1}) in installation.noted("newcomers")

    # While the processes ran it changed, and one of them has not looked yet.
    installation.write(installation.file.read_text().replace("threats: veto", "threats: flag"))
    assert first.policies.look()
    first.run("newcomers", "project.save", name="r", mode="strict")
    assert [details["before"] for _, _, details in installation.noted("newcomers")] == ["", before]


def test_nothing_is_decided_where_the_log_cannot_be_told_by_which_policy(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = installation.processes[0]
    monkeypatch.setattr("metaqore.requests.policy_files.is_known", unavailable)

    with pytest.raises(Unavailable):
        process.run("newcomers", "project.save", name="p", mode="strict")
    assert decided(installation, "newcomers") == []

    monkeypatch.undo()
    process.run("newcomers", "project.save", name="p", mode="strict")
    assert [kind for _, kind in decided(installation, "newcomers")] == ["policy.reload"] * 2 + ["project.save"]


def unavailable(*_: Any) -> bool:
    raise Unavailable("the database is away")
