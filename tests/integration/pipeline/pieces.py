"""The real pieces of the pipeline, each as the body of a child process with one failpoint set.

They are started from a fork server that has imported everything, so that a matrix of crashes stays affordable.
``Setting`` says where the installation of one test is.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: What the fork server imports once.
PRELOAD = ["celery", "redis", "metaqore.bootstrap", "metaqore.requests.schedules", "api.bell"]

ORGANIZATION = "acme"
BROKEN = 3


@dataclass(frozen=True)
class Setting:
    """Where the database, the broker and the journal of acknowledged submissions are."""

    dsn: str
    redis_url: str
    folder: str
    project: str = ""
    failpoint: str = ""
    #: Whether a worker begins as a fresh one does, claiming each request apart.
    careful: bool = True

    def settings(self) -> dict[str, Any]:
        """Return the settings: everything short, so that recovery is a matter of a second."""
        return {
            "storage_dsn": self.dsn, "redis_url": self.redis_url, "data_dir": self.folder, "lease_s": 1,
            "llm_lease_s": 1, "backoff_base_s": 0.05, "sweep_every_s": 0.2, "max_attempts": 20,
            "organization": ORGANIZATION,
        }  # fmt: skip

    @property
    def journal(self) -> Path:
        """Where the submitter notes what was promised to it: ``key id`` lines."""
        return Path(self.folder) / "acknowledged"


def begin(setting: Setting) -> Any:
    """Set the failpoint and the environment of this process; return its settings. SIGUSR1 ends a hang."""
    from metaqore import failpoints
    from metaqore.settings import load, to_environ

    settings = load(setting.settings(), environ={})
    os.environ.update(to_environ(settings))
    failpoints._active = failpoints._parse(setting.failpoint)
    signal.signal(signal.SIGUSR1, lambda *_: failpoints.go_on.set())
    return settings


def submissions() -> list[tuple[str, str, dict[str, Any]]]:
    """Return (idempotency key, kind, payload) of what the submitter asks for."""
    declared = [
        ("artifact.declare", {"type": "doc", "name": f"a{n % 3}", "content": n, "base_version": n // 3 or None})
        for n in range(6)
    ]
    asked = [("llm.generate", {"prompt": f"say {n}", "provider": "mock"}) for n in range(3)]
    return [(f"{kind[0]}{n}", kind, payload) for n, (kind, payload) in enumerate([*declared, *asked])]


def submit(setting: Setting) -> None:
    """Submit everything, each under its key, as an API process does; note each promise."""
    settings = begin(setting)

    from api.bell import PublisherBell
    from metaqore.bootstrap import build
    from metaqore.errors import MetaQoreError
    from metaqore.messages import Submission
    from metaqore.requests.model import Idempotency

    bell = PublisherBell(settings.redis_url, linger_ms=0)
    engine = build(settings, lambda _settings: bell)
    broken = False
    for key, kind, payload in submissions():
        asked = Submission(
            organization=ORGANIZATION, project=setting.project, principal="ann", kind=kind, payload=payload
        )
        try:
            receipt = engine.intake.submit([asked], Idempotency("POST", key, f"sha256:{key}"))
        except MetaQoreError:
            broken = True
            continue
        with setting.journal.open("a") as journal:
            journal.write(f"{key} {receipt.ids[0]}\n")
    if setting.failpoint.startswith("relay."):
        # The bell rings in a thread of its own: wait for what it runs into, which may be our end.
        time.sleep(60 if setting.failpoint.endswith(":kill") else 0.5)
    engine.database.close()
    os._exit(BROKEN if broken else 0)


def work(setting: Setting) -> None:
    """Look after the queues as a worker does, until nothing is open: start carefully, drain, sweep."""
    settings = begin(setting)

    from metaqore.queues import drain_task
    from metaqore.requests.schedules import Schedules
    from workers import engine as worker
    from workers.app import app
    from workers.tasks import drain  # noqa: F401  registers the tasks

    here = worker.engine()
    tasks = [app.tasks[drain_task(queue)] for queue in ("psmp", "llm")]
    schedules = Schedules(here.executor, here.intake, worker.WorkerBell(), idempotency_days=7)
    try:
        if setting.careful:
            here.executor.drain_carefully("psmp")
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            for task in tasks:
                task.run([])
            schedules.fire("sweep", settings.sweep_every_s)
            with here.database.read() as connection:
                sql = "SELECT count(*) FROM requests WHERE state IN ('accepted', 'running')"
                if connection.exec_driver_sql(sql).scalar() == 0:
                    os._exit(0)
            time.sleep(0.02)
        os._exit(4)
    except Exception as error:
        print(f"worker broke: {type(error).__name__}: {error}", flush=True)
        os._exit(BROKEN)
