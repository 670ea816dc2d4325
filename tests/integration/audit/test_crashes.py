"""``kill -9`` at every line of writing and sealing: verdict, version, entry and event match, and the log verifies.

``AUDIT_CRASHES=1000`` runs so many crashes at random places (the long form) in parts of 50, each with a database of its
own, so that a run that was broken off goes on with ``-k 'part12 or part13'``; without it each place of sealing is tried
once and a few of the others. On both databases.

Each process has a clock that is ahead of the one before it by more than any lease, so that nobody waits for a lease
that a dead process held. ``--basetemp`` on a file system in memory makes it five times as fast: what ``kill -9`` does
to a process does not depend on the disk.
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
#: Crashes between two checks of everything; how much later each process lives.
EACH = 50
LATER_MS = 1500
SEALING = ["audit.before_seal", "audit.before_sign", "audit.after_sign", "audit.in_seal_tx", "audit.before_seal_commit",
           "audit.after_seal_commit", "audit.after_witness"]  # fmt: skip
WRITING = ["submit.before_tx", "submit.after_insert", "submit.before_commit", "submit.after_commit",
           "worker.before_claim", "worker.mid_work", "worker.in_finish_tx", "worker.after_finish_commit"]  # fmt: skip

#: From a process in which everything is loaded and was used once: a tenth of what a new interpreter costs.
warm = multiprocessing.get_context("fork")


class Site:
    """A database, its key files and its witness, over many processes."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.dsn, self.folder = dsn, folder
        self.keys = KeyFile(folder / "signing.key", "log.example")
        self.witness = folder / "witness.jsonl"
        self.ahead = 0
        database = Database(dsn)
        self.project = self.pipeline(database).project()
        database.close()

    def clock(self) -> int:
        return now_ms() + self.ahead

    def pipeline(self, database: Database) -> Pipeline:
        database.vault = Vault(self.folder / "privacy.key")
        return Pipeline(database, self.clock, Limits(lease_s=1, backoff_base_s=0.01))  # type: ignore[arg-type]

    def sealer(self, pipeline: Pipeline) -> Sealer:
        memory = WitnessFile(self.witness)
        return Sealer(pipeline.store, self.keys.signers, memory, owner=str(os.getpid()), clock=self.clock)

    def crash(self, failpoint: str) -> int | None:
        """Work in a process of its own until it dies there; return its exit code."""
        self.ahead += LATER_MS
        process = warm.Process(target=work, args=(self.dsn, self.folder, self.project, failpoint, self.ahead))
        process.start()
        process.join(60)
        if process.is_alive():
            process.kill()
            raise AssertionError(f"{failpoint} does not end")
        return process.exitcode

    def check(self) -> None:
        """Finish what was begun, as the next process would, and hold everything against everything."""
        self.ahead += LATER_MS
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


def work(dsn: str, folder: Path, project: str, failpoint: str, ahead: int) -> None:
    """Submit, decide and seal in turn; dies at the failpoint."""
    site = Site.__new__(Site)
    site.dsn, site.folder, site.project, site.ahead = dsn, folder, project, ahead
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


@pytest.mark.parametrize("part", [pytest.param(n, id=f"part{n}") for n in range(max(1, -(-CRASHES // EACH)))])
def test_crashes_while_writing_and_sealing_leave_counts_that_match(part: int, dsn: str, tmp_path: Path) -> None:
    site = Site(dsn, tmp_path)
    rng = random.Random(20261122 + part)
    crashes = runs = 0
    while (crashes < EACH) if CRASHES else (runs < 4 or not crashes):
        place = rng.choice(SEALING + WRITING)
        crashes += site.crash(f"{place}:kill:0.3:{part * 1000 + runs}") == -signal.SIGKILL
        runs += 1
    site.check()


def test_every_place_of_sealing_is_tried() -> None:
    assert {name for name in failpoints.NAMES if name.startswith("audit.")} == set(SEALING)


if CRASHES:
    pytestmark = pytest.mark.timeout(600)
