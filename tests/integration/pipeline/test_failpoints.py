"""Every place where a process may die: whatever dies there, nothing that was promised is lost or done twice.

Each failpoint is tried with ``kill`` and ``raise`` at its first hit, workers also with ``kill`` again and again at
random hits, and those where a hang outlives a lease with ``hang``.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from metaqore import failpoints
from metaqore.embedded.broker import Broker
from metaqore.messages import Submission
from metaqore.requests.attempts import Limits
from metaqore.store.engine import Database
from tests.contract.pipeline import Pipeline
from tests.integration.pipeline import pieces
from tests.integration.pipeline.pieces import ORGANIZATION, Setting
from tests.running import wait_until

ROOT = Path(__file__).resolve().parents[3]
SUBMIT = ["submit.before_tx", "submit.after_insert", "submit.before_commit", "submit.after_commit"]
RELAY = ["relay.before_publish", "relay.after_publish", "relay.before_mark"]
WORK = ["worker.before_claim", "worker.after_claim", "worker.mid_work", "worker.before_finish_tx",
        "worker.in_finish_tx", "worker.after_finish_commit", "worker.before_ack", "scheduler.after_fire"]  # fmt: skip
#: A worker that hangs here holds a lease that ends, and no lock.
HANG = ["worker.after_claim", "worker.before_finish_tx", "worker.after_finish_commit"]
ACTIONS = ["kill", "raise"]

fork_server = multiprocessing.get_context("forkserver")
fork_server.set_forkserver_preload(pieces.PRELOAD)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    folder = tmp_path_factory.mktemp("broker")
    made = Broker(folder, folder / "log")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def setting(sqlite_dsn: str, broker: Broker, tmp_path: Path) -> Setting:
    return made_in(tmp_path, sqlite_dsn, broker)


def made_in(folder: Path, dsn: str, broker: Broker, failpoint: str = "") -> Setting:
    database = Database(dsn)
    asked = Submission(organization=ORGANIZATION, project=None, principal="ann", kind="project.save",
                       payload={"name": "p", "mode": "strict"})  # fmt: skip
    project = str(Pipeline(database).executor.run_now(asked).result["id"])
    database.close()
    return Setting(dsn, broker.url, str(folder), project, failpoint)


def started(body: Callable[[Setting], None], setting: Setting) -> BaseProcess:
    process = fork_server.Process(target=body, args=(setting,))
    process.start()
    return process


def ended(
    body: Callable[[Setting], None], setting: Setting, failpoint: str = "", *, careful: bool = True
) -> int | None:
    """Run a piece to its end; return its exit code."""
    process = started(body, replace(setting, failpoint=failpoint, careful=careful))
    process.join(180)
    if process.is_alive():
        process.kill()
        raise AssertionError(f"{body.__name__} with {failpoint!r} does not end")
    return process.exitcode


def check_the_end(setting: Setting) -> None:
    """Everything that was promised has happened, once."""
    database = Database(setting.dsn)
    pipeline = Pipeline(database, limits=Limits())
    promised = dict(line.split() for line in setting.journal.read_text().splitlines())
    asked = [key for key, _, _ in pieces.submissions()]
    assert sorted(promised) == sorted(asked)
    rows = dict(pipeline.sql("SELECT id, state FROM requests WHERE queue <> 'control'"))
    assert {request: rows.get(request) for request in promised.values()} == dict.fromkeys(rows, "succeeded")
    versions = pipeline.sql("SELECT request_id FROM artifact_versions")
    assert sorted(row[0] for row in versions) == sorted(r for key, r in promised.items() if key[0] == "a")
    calls = pipeline.sql("SELECT request_id, state FROM llm_calls")
    assert sorted(calls) == sorted((r, "settled") for key, r in promised.items() if key[0] == "l")
    decided = [
        row[0] for row in pipeline.sql("SELECT request_id FROM events WHERE type LIKE 'artifact.%' ORDER BY seq")
    ]
    assert decided == [promised[key] for key in asked if key[0] == "a"]
    pipeline.check_sequences()
    pipeline.check_versions()
    database.close()


BROKE = {"kill": -signal.SIGKILL, "raise": pieces.BROKEN}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("place", [*SUBMIT, *RELAY])
def test_a_submitter_that_dies_loses_and_repeats_nothing(setting: Setting, place: str, action: str) -> None:
    code = ended(pieces.submit, setting, f"{place}:{action}")
    if action == "kill" or (place in SUBMIT and place != "submit.after_commit"):
        assert code == BROKE[action]
    # The client asks again for what it has no answer to; here, for everything.
    assert ended(pieces.submit, setting) == 0
    acknowledged = [line.split() for line in setting.journal.read_text().splitlines()]
    assert len({request for _, request in acknowledged}) == len({key for key, _ in acknowledged}) == 9
    assert ended(pieces.work, setting) == 0
    check_the_end(setting)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("place", WORK)
def test_a_worker_that_dies_loses_and_repeats_nothing(setting: Setting, place: str, action: str) -> None:
    assert ended(pieces.submit, setting) == 0
    assert ended(pieces.work, setting, f"{place}:{action}") == BROKE[action]
    assert ended(pieces.work, setting) == 0
    check_the_end(setting)


@pytest.mark.parametrize("place", WORK)
def test_workers_that_die_again_and_again_lose_and_repeat_nothing(setting: Setting, place: str) -> None:
    assert ended(pieces.submit, setting) == 0
    codes = []
    for seed in range(60):
        codes.append(ended(pieces.work, setting, f"{place}:kill:0.4:{seed}", careful=seed % 2 == 0))
        if codes[-1] == 0:
            break
    assert codes[-1] == 0 and set(codes[:-1]) <= {-signal.SIGKILL}
    check_the_end(setting)


def test_workers_that_hang_past_their_lease_change_nothing_when_they_go_on(
    broker: Broker, sqlite_template: Path, tmp_path: Path
) -> None:
    """Others do the work while the lease ends, then the zombies wake up."""
    hanging: list[tuple[Setting, BaseProcess]] = []
    try:
        for place in HANG:
            folder = tmp_path / place
            folder.mkdir()
            (folder / "metaqore.db").write_bytes(sqlite_template.read_bytes())
            setting = made_in(folder, f"sqlite:///{folder / 'metaqore.db'}", broker, f"{place}:hang:1")
            assert ended(pieces.submit, setting) == 0
            hanging.append((setting, started(pieces.work, setting)))
        for setting, process in hanging:
            wait_until(lambda s=setting: claimed(s), "the worker has begun")  # type: ignore[misc]
            assert ended(pieces.work, setting) == 0
            check_the_end(setting)
            assert process.is_alive(), "it must still hang, or this shows nothing"
        for setting, process in hanging:
            assert process.pid
            os.kill(process.pid, signal.SIGUSR1)
            process.join(60)
            assert process.exitcode == 0, setting
            check_the_end(setting)
    finally:
        for _, process in hanging:
            process.kill()


def claimed(setting: Setting) -> bool:
    database = Database(setting.dsn)
    with database.read() as connection:
        found = connection.exec_driver_sql("SELECT count(*) FROM requests WHERE fence > 0 AND queue <> 'control'")
        return bool(found.scalar())


def test_every_failpoint_is_in_the_code_and_in_a_test() -> None:
    placed: set[str] = set()
    for folder in ("metaqore", "api", "workers"):
        for file in (ROOT / folder).rglob("*.py"):
            placed |= set(re.findall(r'failpoints\.hit\("([a-z_.]+)"\)', file.read_text()))
    assert placed <= failpoints.NAMES
    elsewhere = {
        "drain.off",
        "sweep.off",
        "heartbeat.skip",
        "webhook.before_send",
        "webhook.after_send",
        "webhook.before_mark",
    }
    # Tried in tests/integration/audit/test_crashes.py and tests/contract/audit/test_sinks.py.
    sealing = {name for name in failpoints.NAMES if name.startswith(("audit.", "sink."))}
    assert failpoints.NAMES - sealing == placed - sealing == {*SUBMIT, *RELAY, *WORK, *elsewhere}
