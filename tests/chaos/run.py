"""One run: load and faults, heal, drain, check."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import urllib3

from metaqore.store.engine import Database
from tests.chaos.checker import Findings, check
from tests.chaos.clients import Agent
from tests.chaos.cluster import Cluster, cluster
from tests.chaos.nemesis import Nemesis
from tests.conftest import Postgres
from tests.running import wait_until

#: The control: nobody sweeps and nobody drains, so what was promised is not kept, and the checker must say so.
CONTROL = "sweep.off:skip,drain.off:skip"


#: Who does what; the list is gone through again and again.
ROLES = ("declare", "declare", "batch", "generate", "cancel", "declare")


def run(
    folder: Path,
    *,
    seconds: float,
    agents: int = 6,
    seed: int = 1,
    at_least: int = 0,
    control: bool = False,
    postgres: Postgres | None = None,
) -> tuple[Findings, Counter[str]]:
    """Return what the checker found, and what was done to the cluster.

    Args:
        seconds: how long it lasts, or up to four times as long where a slow machine needs it for ``at_least`` faults.
    """
    with cluster(folder, failpoints=CONTROL if control else "", postgres=postgres) as made:
        wait_until(lambda: _answers(made), "the API answers", 60)
        projects = [_project(made, name) for name in ("one", "two")]
        team = [
            Agent(n, ROLES[n % len(ROLES)], made.url, made.key(f"agent-{n}"), projects[n % 2], pause_s=0.15)
            for n in range(agents)
        ]
        stop_load, stop_faults, calm, over = (threading.Event() for _ in range(4))
        nemesis = Nemesis(made, seed)
        threads = [threading.Thread(target=agent.run, args=(stop_load,)) for agent in team]

        def hurt() -> None:
            nemesis.run(stop_faults)
            calm.set()
            # What this thread has started is ended by the kernel when it ends (PR_SET_PDEATHSIG).
            over.wait()

        faults = threading.Thread(target=hurt, daemon=True)
        for thread in [*threads, faults]:
            thread.start()
        began = time.monotonic()
        while time.monotonic() - began < (seconds if nemesis.done.total() >= at_least else 4 * seconds):
            time.sleep(0.2)
        stop_faults.set()
        calm.wait()
        stop_load.set()
        for thread in threads:
            thread.join()
        made.start()
        _drain(made, 5 if control else 240)
        database = Database(made.settings.dsn)
        try:
            return check(database, team, made.taken()), nemesis.done
        finally:
            database.close()
            over.set()


def _answers(made: Cluster) -> bool:
    try:
        answer = urllib3.request("GET", made.url.replace("/api/v1", "/healthz"), timeout=1, retries=False)
    except urllib3.exceptions.HTTPError:
        return False
    return answer.status == 200


def _project(made: Cluster, name: str) -> str:
    answer = urllib3.request(
        "POST", f"{made.url}/projects", json={"name": name, "mode": "strict"}, retries=False,
        headers={"Authorization": f"Bearer {made.key(f'lead of {name}')}"},
    )  # fmt: skip
    return str(answer.json()["id"])


def _drain(made: Cluster, seconds: float) -> None:
    """Wait until nothing is open, at most ``seconds``; the checker says what was left."""
    database = Database(made.settings.dsn)
    until = time.monotonic() + seconds
    sql = "SELECT count(*) FROM requests WHERE state IN ('accepted', 'running')"
    while time.monotonic() < until:
        with database.read() as connection:
            if connection.exec_driver_sql(sql).scalar() == 0:
                break
        time.sleep(0.2)
    database.close()
