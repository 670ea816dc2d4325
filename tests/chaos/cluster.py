"""The processes of one run: two workers for psmp (one solo, one with a pool child), one for the rest, beat, API.

With ``postgres`` the database is an embedded PostgreSQL server, which can be hurt too.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from metaqore import bootstrap
from metaqore.embedded.broker import Broker
from metaqore.embedded.child import Child, ProcessSpec, Stage
from metaqore.security.keys import ALL
from metaqore.settings import Settings, load, to_environ
from tests.conftest import Postgres
from tests.running import ROOT, free_port, wait_until

_WORKER = ["-m", "celery", "-A", "workers.app", "worker", "--without-gossip", "--without-mingle"]
PROCESSES = {
    "api": [],
    "psmp-solo": [*_WORKER, "-Q", "psmp", "-P", "solo", "-n", "psmp-solo@%h", "--prefetch-multiplier", "64"],
    "psmp-pool": [*_WORKER, "-Q", "psmp", "-P", "prefork", "-c", "1", "-n", "psmp-pool@%h"],
    "others": [*_WORKER, "-Q", "system,llm", "-P", "threads", "-c", "4", "-n", "others@%h"],
    "beat": ["-m", "celery", "-A", "workers.app", "beat", "-S", "workers.timetable.Timetable"],
}


class Cluster:
    """What runs, and how to hurt it."""

    def __init__(self, folder: Path, *, failpoints: str = "", postgres: Postgres | None = None) -> None:
        self.folder = folder
        self.postgres = postgres
        self.broker = Broker(folder / "broker", folder / "logs" / "broker.log")
        self.broker.start()
        dsn = postgres.url(postgres.take()) if postgres else f"sqlite:///{folder / 'metaqore.db'}"
        chosen = {
            "storage_dsn": dsn, "data_dir": str(folder), "port": free_port(), "redis_url": self.broker.url,
            # Short, so that many recoveries fit into a run. Nothing here deserves to die of its attempts.
            "lease_s": 3, "llm_lease_s": 3, "sweep_every_s": 1, "backoff_base_s": 0.2, "backoff_max_s": 2,
            "max_attempts": 50, "log_level": "debug",
        }  # fmt: skip
        self.settings: Settings = load(chosen, environ={})
        bootstrap.migrated(self.settings)
        environ = {k: v for k, v in os.environ.items() if not k.startswith("METAQORE_")}
        environ |= {**to_environ(self.settings), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        if failpoints:
            environ["METAQORE_FAILPOINT"] = failpoints
        self.children = {name: Child(self._spec(name, environ)) for name in PROCESSES}

    def _spec(self, name: str, environ: dict[str, str]) -> ProcessSpec:
        arguments = PROCESSES[name] or [
            "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(self.settings.port),
            "--workers", "1", "--blocking-threads", "64", "--no-ws", "--log-level", "error", "api.wsgi:app",
        ]  # fmt: skip
        return ProcessSpec(
            name=name, argv=(sys.executable, *arguments), stage=Stage.WEB if name == "api" else Stage.WORKERS,
            env=environ, log=self.folder / "logs" / f"{name}.log", ready=lambda _pid: True,
            parent_death_signal=signal.SIGKILL,
        )  # fmt: skip

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}/api/v1"

    def key(self, principal: str) -> str:
        return bootstrap.create_key(self.settings, principal=principal, name=principal, scopes=[ALL])

    def start(self) -> None:
        """Start whatever does not run."""
        for child in self.children.values():
            if child.pid is None or child.ended() is not None:
                child.start()

    def kill(self, name: str) -> None:
        """SIGKILL a process with all that belongs to it, and start it again."""
        child = self.children[name]
        child.kill()
        wait_until(child.ended, f"{name} ended")
        child.start()

    def term(self, name: str) -> None:
        """SIGTERM a process, as an orderly restart does; SIGKILL where it does not end; start it again."""
        child = self.children[name]
        if child.pid is not None and child.ended() is None:
            os.kill(child.pid, signal.SIGTERM)
            until = time.monotonic() + 8
            while child.ended() is None and time.monotonic() < until:
                time.sleep(0.05)
        self.kill(name)

    def cut_power(self) -> None:
        """SIGKILL everything at once, and start it again."""
        for child in self.children.values():
            child.kill()
        self.restart_broker(empty=False)
        for child in self.children.values():
            wait_until(child.ended, f"{child.name} ended")
        self.start()

    def restart_postgres(self) -> None:
        """End all sessions and the server at once, and start it again, as after a crash."""
        if self.postgres is not None:
            self.postgres.crash()

    def kill_pool_child(self) -> None:
        """SIGKILL only the pool child, in the middle of whatever it does."""
        main = self.children["psmp-pool"].pid
        if main is not None and psutil.pid_exists(main):
            for process in psutil.Process(main).children():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()

    def restart_broker(self, *, empty: bool) -> None:
        """SIGKILL Valkey and start it again, with its files or without."""
        self.broker.kill()
        wait_until(self.broker.ended, "the broker ended")
        if empty:
            for path in (self.folder / "broker").glob("appendonly*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            for path in (self.folder / "broker").glob("*.rdb"):
                path.unlink()
        self.broker.start()

    def stop_for(self, pid: int | None, seconds: float) -> None:
        """SIGSTOP a process for a while."""
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(seconds)
            os.kill(pid, signal.SIGCONT)

    def taken(self) -> list[str]:
        """Return every request id that a worker ever took into a batch, from the workers' logs."""
        found: list[str] = []
        for name in ("psmp-solo", "psmp-pool"):
            for line in (self.folder / "logs" / f"{name}.log").read_text(errors="replace").splitlines():
                if '"event": "taken"' in line:
                    found += re.findall(r"req_[0-9a-f]{32}", line)
        return found

    def close(self) -> None:
        """End everything, by pid, and wait for it."""
        for child in self.children.values():
            child.kill()
        for child in self.children.values():
            if child.pid is not None:
                wait_until(child.ended, f"{child.name} ended")
        self.broker.kill()
        wait_until(self.broker.ended, "the broker ended")


@contextlib.contextmanager
def cluster(folder: Path, *, failpoints: str = "", postgres: Postgres | None = None) -> Iterator[Cluster]:
    """Start everything; end it by pid at the end."""
    made = Cluster(folder, failpoints=failpoints, postgres=postgres)
    try:
        made.start()
        yield made
    finally:
        made.close()
