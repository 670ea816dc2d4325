"""``kill -9`` at every line of writing and sealing: verdict, version, entry and event match, and the log verifies.

``AUDIT_CRASHES=1000`` runs so many crashes at random places (the long form); without it each place of sealing
is tried once and a few of the others, on both databases.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from pathlib import Path

import pytest

from metaqore import failpoints
from metaqore.audit.anchors import Trust
from metaqore.audit.database import open_database
from metaqore.audit.key_file import KeyFile
from metaqore.audit.sealer import LEASE_MS, Sealer
from metaqore.audit.vault import Vault
from metaqore.audit.verify import Options, verify
from metaqore.audit.witness import WitnessFile
from metaqore.clock import now_ms
from metaqore.requests.attempts import Limits
from metaqore.store.engine import Database
from tests.contract.pipeline import Pipeline
from tests.running import wait_until

CRASHES = int(os.environ.get("AUDIT_CRASHES", "0"))
SEALING = ["audit.before_seal", "audit.before_sign", "audit.after_sign", "audit.in_seal_tx", "audit.before_seal_commit",
           "audit.after_seal_commit", "audit.after_witness"]  # fmt: skip
WRITING = ["submit.before_tx", "submit.after_insert", "submit.before_commit", "submit.after_commit",
           "worker.before_claim", "worker.mid_work", "worker.in_finish_tx", "worker.after_finish_commit"]  # fmt: skip

fork_server = multiprocessing.get_context("forkserver")
fork_server.set_forkserver_preload(["tests.contract.pipeline", "metaqore.audit.sealer", "psycopg"])


class Site:
    """A database, its key files and its witness, over many processes."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.dsn, self.folder = dsn, folder
        self.keys = KeyFile(folder / "signing.key", "log.example")
        self.witness = folder / "witness.jsonl"
        database = Database(dsn)
        self.project = self.pipeline(database).project()
        database.close()

    def pipeline(self, database: Database) -> Pipeline:
        database.vault = Vault(self.folder / "privacy.key")
        return Pipeline(database, now_ms, Limits(lease_s=1, backoff_base_s=0.01))  # type: ignore[arg-type]

    def sealer(self, pipeline: Pipeline) -> Sealer:
        return Sealer(pipeline.store, self.keys.signers, WitnessFile(self.witness), owner=str(os.getpid()))

    def crash(self, failpoint: str) -> int | None:
        """Work in a process of its own until it dies there; return its exit code."""
        process = fork_server.Process(target=work, args=(self.dsn, self.folder, self.project, failpoint))
        process.start()
        process.join(60)
        if process.is_alive():
            process.kill()
            raise AssertionError(f"{failpoint} does not end")
        return process.exitcode

    def check(self) -> None:
        """Finish what was begun, as the next process would, and hold everything against everything."""
        database = Database(self.dsn)
        pipeline = self.pipeline(database)
        pipeline.settle_all()
        sealer = self.sealer(pipeline)
        unsealed = (
            "SELECT audit_seq FROM counters WHERE audit_seq > (SELECT coalesce(max(size), 0) FROM audit_checkpoints)"
        )
        wait_until(lambda: sealer.run() or not pipeline.sql(unsealed), "all is sealed", 10)
        [(accepted,)] = pipeline.sql("SELECT count(*) FROM requests WHERE kind = 'artifact.declare'")
        for table, where in (
            ("requests", "verdict = 'approved' AND kind = 'artifact.declare'"),
            ("artifact_versions", "TRUE"),
            ("audit_entries", "tag = 'psmp:artifact:admitted'"),
            ("events", "type = 'artifact.created'"),
        ):
            assert pipeline.sql(f"SELECT count(*) FROM {table} WHERE {where}") == [(accepted,)], table
        pipeline.check_sequences()
        trust = Trust(tuple(signer.vkey for signer in self.keys.signers()))
        source = open_database(self.dsn)
        [verdict] = verify(source, Options(trust, self.witness))
        source.close()
        assert (verdict.exit_code, verdict.findings) == (0, []), verdict
        assert verdict.sealed == verdict.entries
        database.close()


def work(dsn: str, folder: Path, project: str, failpoint: str) -> None:
    """Submit, decide and seal in turn; dies at the failpoint."""
    site = Site.__new__(Site)
    site.dsn, site.folder, site.project = dsn, folder, project
    site.keys, site.witness = KeyFile(folder / "signing.key", "log.example"), folder / "witness.jsonl"
    database = Database(dsn)
    pipeline = site.pipeline(database)
    sealer = site.sealer(pipeline)
    failpoints._active = failpoints._parse(failpoint)
    for turn in range(3):
        for n in range(2):
            pipeline.declare(project, f"{os.getpid()}-{turn}-{n}", f"text {n}")
        pipeline.executor.drain("psmp")
        wait_until(lambda: sealer.run() > 0, "it is our turn to seal", 5 * LEASE_MS / 1000)
    database.close()


def test_a_crash_at_any_step_of_sealing_leaves_one_chain_that_verifies(dsn: str, tmp_path: Path) -> None:
    site = Site(dsn, tmp_path)
    for place in SEALING:
        assert site.crash(f"{place}:kill") == -signal.SIGKILL, place
    assert site.crash("") == 0
    site.check()


def test_crashes_while_writing_and_sealing_leave_counts_that_match(dsn: str, tmp_path: Path) -> None:
    site = Site(dsn, tmp_path)
    rng = random.Random(20261122)
    crashes = 0
    for run in range(CRASHES or 4):
        place = rng.choice(SEALING + WRITING)
        crashes += site.crash(f"{place}:kill:0.3:{run}") == -signal.SIGKILL
        if run % 50 == 49:
            site.check()
    assert crashes
    site.check()


def test_every_place_of_sealing_is_tried() -> None:
    assert {name for name in failpoints.NAMES if name.startswith("audit.")} == set(SEALING)


if CRASHES:
    pytestmark = pytest.mark.timeout(CRASHES * 30)
